"""Verifiers, and how strategies cope when scores can't be had."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from outthink import catalogue
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Stop
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import Faults, SimulatedBackend
from outthink.testing.trials import SCORES, WORLD, Case, trial
from outthink.testing.worlds import ToyVerifier
from outthink.verifiers.exact import Exact
from outthink.verifiers.mean_logprob import MeanLogprob
from outthink.verifiers.self_certainty import SelfCertainty

SCRIPT = ["lead", "gold", "lead", None]
BEST = Case(catalogue.strategy("best_of_n"), {"n": 4}, "judge")
WEIGHTED = Case(catalogue.strategy("weighted_majority"), {"n": 4}, "judge")


class Broken(ToyVerifier):
    """Says nothing, or what no score can be."""

    def __init__(self, *scores: float | None) -> None:
        super().__init__({})
        self.given = scores

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        return [self.given[at % len(self.given)] for at in range(len(samples))]


def test_the_oracle_finds_a_right_answer_where_there_is_one() -> None:
    async def main() -> None:
        backend = SimulatedBackend(WORLD, script={"hard": SCRIPT})
        async with Session(backend, task=WORLD.task, verifier=Exact(), oracle=True) as session:
            result = await session.solve(WORLD.problems[0], "best_of_n", n=4)
        assert (result.answer, result.confidence) == ("gold", 1.0)

    run_virtually(main())


@pytest.mark.parametrize("verifier", [SelfCertainty(), MeanLogprob()])
def test_confidence_chooses_the_surest_sample(verifier: SelfCertainty | MeanLogprob) -> None:
    result = trial(BEST, verifier=verifier).done
    form = "self_certainty" if isinstance(verifier, SelfCertainty) else "mean_logprob"
    stated = [sample for sample in result.samples if "answer is" in sample.text]
    assert result.selection is not None
    assert result.selection.sample == max(stated, key=lambda sample: sample.summary[form])
    assert result.usage.calls == 4, "reading confidences asks for nothing"


def test_negative_scores_need_a_scale() -> None:
    with pytest.raises(ValueError, match="minmax"):
        trial(WEIGHTED, verifier=MeanLogprob())
    assert trial(WEIGHTED.but(scale="minmax"), verifier=MeanLogprob()).done.answer is not None


@pytest.mark.parametrize("case", [BEST, WEIGHTED])
def test_without_any_score_the_majority_is_offered_and_the_reason_said(case: Case) -> None:
    result = trial(case, script=SCRIPT, verifier=Broken(None)).done
    assert (result.answer, result.stop) == ("lead", Stop.FAILED)
    assert "scored none of 3 valid answers" in result.reason


def test_what_is_no_number_counts_as_no_score() -> None:
    result = trial(BEST, script=SCRIPT, verifier=Broken(float("nan"), 0.5, float("inf"), 0.9)).done
    assert (result.answer, result.confidence) == ("gold", 0.5)


@pytest.mark.parametrize("case", [BEST, WEIGHTED])
def test_a_filled_budget_leaves_room_for_the_judge(case: Case) -> None:
    result = trial(case.but(n=None), budget="12 samples").done
    assert (result.usage.samples, result.stop) == (12, Stop.FINISHED)
    assert [offer.usage.samples for offer in result.offers] == [2, 4, 6, 8, 10, 12]
    toy = trial(Case(case.strategy, {"n": None}, "toy"), budget="12 samples").done
    assert len(toy.offers) == 12, "a verifier that asks for nothing leaves the whole budget to the samples"


def test_a_judge_that_the_budget_cuts_off_leaves_the_majority() -> None:
    result = trial(BEST, script=SCRIPT, budget="4 samples").done
    assert (result.answer, result.stop) == ("lead", Stop.BUDGET)
    assert "budget of samples is spent" in result.reason


def test_a_judge_that_fails_for_some_samples_scores_the_others() -> None:
    # The second sample fails for good, and so does the judge's second reply: about the third sample.
    result = trial(BEST, script=SCRIPT, faults=Faults(broken=frozenset({1}))).done
    assert (len(result.failed), result.stop) == (2, Stop.FINISHED)
    assert result.selection is not None
    assert result.selection.sample == result.samples[0]


def test_scores_of_the_toy_verifier() -> None:
    result = trial(BEST, script=SCRIPT, verifier=ToyVerifier(SCORES)).done
    assert (result.answer, result.confidence, dict(result.selection.votes if result.selection else {})) == (
        "gold",
        0.9,
        {"gold": 0.9, "lead": 0.6},
    )
