"""Every strategy of the catalogue keeps the contract, and reaches in a toy world what its papers' formulas say."""

from __future__ import annotations

from typing import ClassVar

from outthink.testing import exact
from outthink.testing.contract import StrategyContract


class TestContract(StrategyContract):
    variants: ClassVar = {
        "weighted_majority": [{"scale": "minmax"}],
        "self_certainty": [{"rule": "best"}],
        "self_refine": [{"scored": True}],
        "rpc": [{"prune": "mean", "compat": True}, {"prune": "none"}],
        "best_of_majority": [{"alpha": 0.0}, {"alpha": 0.4, "k": 2, "pooled": "mean"}],
    }
    alone: ClassVar = {"self_refine": {"iterations": 0}}
    reached: ClassVar = {
        "single": lambda answers, scores, n: exact.majority(answers, 1),
        "majority": lambda answers, scores, n: exact.majority(answers, n),
        "weighted_majority-toy": lambda answers, scores, n: exact.weighted_majority(answers, scores, n),
        "best_of_n": exact.best_of_n,
        "best_of_majority-alpha=0.0-toy": exact.best_of_n,
    }
