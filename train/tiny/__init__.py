"""The tiny reasoner: a Llama of 1.3 M parameters, trained from scratch to solve Countdown in steps, and its verifiers.

`python -m train.tiny --help`. What was measured stands in `docs/tiny.md`.
"""
