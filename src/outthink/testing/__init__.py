"""For your own tests: simulated models, toy worlds whose right figures are known, fake servers, and the contract of strategies."""
