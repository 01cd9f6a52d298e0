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
        "nothinking": [{"rule": "borda"}, {"rule": "best"}],
        "hedged": [{"hedge": False}],
        "xmbr": [{"utility": "answers", "m": 0, "hedge": False}, {"utility": "chrf", "m": 2}],
        "rpc": [{"prune": "mean", "compat": True}, {"prune": "none"}],
        "best_of_majority": [{"alpha": 0.0}, {"alpha": 0.4, "k": 2, "pooled": "mean"}],
        "adaptive_consistency": [{"rule": "dirichlet", "batch": 3}, {"rule": "share", "least": 2}],
        "first_finish": [{"k": 2}, {"k": 2, "last": True}],
        "atts": [{"chunk": 12, "calibrate": 3}, {"chunk": 12, "calibration": [[0.9, 0.2], [0.6]], "compat": True}],
        "deepprune": [
            {"truncate": 2, "vote": 2},
            {"truncate": 3, "judge": "model", "diverse": True},
            {"truncate": 4, "judge": "logprob", "threshold": 0.9, "clusters": 2},
        ],
        "saturation": [{"gain": 0.02}],
        "certaindex": [{"every": 2, "agree": 2, "tokens": 10}, {"level": "crazy", "every": 3, "tokens": 9, "compat": True}],
        "deepconf": [{"form": "least", "keep": 0.6, "window": 4}, {"form": "mean", "keep": 1.0}],
        "deepconf_online": [
            {"warmup": 2, "window": 4, "keep": 0.5, "consensus": 0.0, "width": 1},
            {"warmup": 1, "window": 4, "keep": 0.5, "compat": True},
        ],
        "ab_mcts_a": [{"prior": "beta", "policy": "ucb"}],
        "mcts": [{"simulations": 8, "branching": 2, "rollout": True, "rule": "best"}],
        "saffron": [{"width": 2, "top_p": 1.0, "least": 2, "compat": True}],
        "r2": [{"simulations": 6, "branching": 2, "examples": 0}],
        "particle_filter": [
            {"width": 4, "target": "final", "resampling": "ssp", "ess": 0.5, "finished": "resampled", "rule": "weighted"},
            {"width": 4, "resampling": "multinomial", "annealed": (2.0, 1.5), "compat": True},
        ],
        "particle_gibbs": [{"width": 3, "iterations": 3, "target": "bernoulli", "resampling": "stratified", "rule": "weighted"}],
        "parallel_tempering": [{"width": 2, "temperatures": (4.0, 2.0, 1.0), "target": "final", "rule": "sample"}],
        "fk_steering": [
            {"width": 4, "potential": "max", "every": 2, "ess": 0.5, "rule": "weighted"},
            {"width": 4, "potential": "add", "transform": "logit", "strength": 1.0, "resampling": "multinomial", "compat": True},
        ],
        "beam_search": [{"width": 4, "branching": 2, "rule": "weighted", "unique": False}],
        "dvts": [{"width": 4, "branching": 2, "lookahead": 1, "rule": "majority"}],
        "rebase": [{"width": 6, "temperature": 1.0, "rule": "best"}],
        "ets": [{"width": 6, "cost": 2.0, "coverage": 0.0}],
        "a_star": [{"width": 3, "edge_cost": "length", "expansions": 4}],
        "best_first": [{"alpha": 0.0, "proved": 0.7, "expansions": 6}],
        "early_stopping_consistency": [{"window": 2, "risk": 0.01}],
    }
    alone: ClassVar = {
        "certaindex": {"every": 64, "tokens": 64},
        "deepprune": {"n": 1, "truncate": 64},
        "self_refine": {"iterations": 0},
        "multi_temperature": {"n": 1, "temperatures": (0.7,)},
        "hedged": {"n": 1, "hedge": False},
        "chops": {"n": 1, "hedge": False},
        "xmbr": {"n": 1, "hedge": False},
    }
    exempt: ClassVar = {
        ("ab_mcts_a", "test_a_failed_sample_counts_as_little_as_an_invalid_one"): "its beliefs are told of an invalid answer",
        ("ab_mcts_m", "test_a_failed_sample_counts_as_little_as_an_invalid_one"): "its beliefs are told of an invalid answer",
        ("atts", "test_a_failed_sample_counts_as_little_as_an_invalid_one"): "what fails may be a chunk that calibrates or mends",
        ("atts", "test_one_sample_is_single"): "a child's samples have seeds of their own",
        (
            "deepconf_online",
            "test_a_failed_sample_counts_as_little_as_an_invalid_one",
        ): "what ends moves later seeds",
        (
            "deepprune",
            "test_a_failed_sample_counts_as_little_as_an_invalid_one",
        ): "a beginning shows no answer",
        ("first_finish", "test_a_failed_sample_counts_as_little_as_an_invalid_one"): "it leaves samples before they can fail",
    }
    reached: ClassVar = {
        "single": lambda answers, scores, n: exact.majority(answers, 1),
        "majority": lambda answers, scores, n: exact.majority(answers, n),
        "weighted_majority-toy": lambda answers, scores, n: exact.weighted_majority(answers, scores, n),
        "best_of_n": exact.best_of_n,
        "hedged-hedge=False": lambda answers, scores, n: exact.majority(answers, n),
        "best_of_majority-alpha=0.0-toy": exact.best_of_n,
    }
