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
        "multi_temperature": [{"temperatures": (0.5, 0.9), "min_rounds": 1}, {"temperatures": (0.0, 0.7), "compat": True}],
        "length_selected": [{"prefer": "longest", "rule": "best"}],
        "marker_selected": [{"marker": "discourse", "rule": "best"}],
        "rpc": [{"prune": "mean", "compat": True}, {"prune": "none"}],
        "best_of_majority": [{"alpha": 0.0}, {"alpha": 0.4, "k": 2, "pooled": "mean"}],
        "adaptive_consistency": [{"rule": "dirichlet", "batch": 3}, {"rule": "share", "least": 2}],
        "first_finish": [{"k": 2}, {"k": 2, "last": True}],
        "early_stopping_consistency": [{"window": 2, "risk": 0.01}],
    }
    alone: ClassVar = {
        "self_refine": {"iterations": 0},
        "multi_temperature": {"n": 1, "temperatures": (0.7,)},
    }
    exempt: ClassVar = {
        ("first_finish", "test_a_failed_sample_counts_as_little_as_an_invalid_one"): "it leaves samples before they can fail",
    }
    reached: ClassVar = {
        "single": lambda answers, scores, n: exact.majority(answers, 1),
        "majority": lambda answers, scores, n: exact.majority(answers, n),
        "weighted_majority-toy": lambda answers, scores, n: exact.weighted_majority(answers, scores, n),
        "best_of_n": exact.best_of_n,
        "best_of_majority-alpha=0.0-toy": exact.best_of_n,
    }
