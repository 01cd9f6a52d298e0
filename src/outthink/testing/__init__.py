"""For your own tests: simulated models, toy worlds with known right figures, fake servers, the contract of strategies."""
