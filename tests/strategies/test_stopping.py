"""Strategies that stop early: when they stop, what that saves, and that what they leave is really left."""

from __future__ import annotations

from typing import Any

import pytest

from outthink import catalogue
from outthink.core.selection import Result
from outthink.parts.confidence import quantile
from outthink.testing.simulated import Pace
from outthink.testing.trials import WORLD, Case, Trial, trial
from outthink.testing.worlds import Odds, World

ALIKE = ["gold"] * 40


def run(strategy: str, script: list[str | None] | None = None, **parameters: Any) -> Result:
    return trial(Case(catalogue.strategy(strategy), parameters), script=script or ()).done


def test_adaptive_consistency_stops_when_settled() -> None:
    assert run("adaptive_consistency", ALIKE, n=40).usage.samples == 4, "four alike are settled, three are not"
    assert run("adaptive_consistency", ["lead", *ALIKE], n=40).usage.samples == 7
    assert run("adaptive_consistency", [None, None, *ALIKE], n=40).usage.samples == 6, "no answer settles nothing"
    assert run("adaptive_consistency", ALIKE, n=40, batch=3).usage.samples == 6
    assert run("adaptive_consistency", ALIKE, n=40, least=9).usage.samples == 9
    assert run("adaptive_consistency", ALIKE, n=10, threshold=1.0).usage.samples == 10


def test_windows_stop_where_they_agree() -> None:
    assert run("early_stopping_consistency", ALIKE, n=40).usage.samples == 5
    script = ["gold", "gold", "gold", "gold", "lead", *["lead"] * 5, "tin"]
    found = run("early_stopping_consistency", script, n=40)
    assert (found.answer, found.usage.samples, found.confidence) == ("lead", 10, 1.0)
    mixed: list[str | None] = ["gold", None] * 20
    assert run("early_stopping_consistency", mixed, n=12).usage.samples == 12
    assert run("early_stopping_consistency", mixed, n=12, window=1).usage.samples == 1
    # 4 of 5 agree: a wrong window of 4 is too likely for this risk, one of 6 is not
    safe = run("early_stopping_consistency", ["gold", "gold", "gold", "gold", "lead", *ALIKE], n=40, risk=1e-6)
    assert safe.usage.samples == 5 + 6


def test_saturation_stops_sooner_for_a_greater_gain() -> None:
    used = [run("saturation", ALIKE, n=40, gain=gain).usage.samples for gain in (0.5, 0.1, 0.01, 0.0001)]
    assert used == sorted(used)
    assert len(set(used)) == 4


@pytest.mark.parametrize("answer", ["gold", "lead"])
def test_probes_end_a_sample(answer: str) -> None:
    world = World({"p": Odds("gold", {answer: 1.0})}, words=(200, 300))
    how: dict[str, Any] = {"world": world, "max_tokens": 400}
    # A reply to a probe is as long as any here, and is cut before it answers: nothing is ever certain.
    unsure = trial(Case(catalogue.strategy("certaindex"), {"every": 8, "tokens": 64}), **how).done
    assert (unsure.answer, unsure.usage.samples) == (None, 16)
    short = World({"p": Odds("gold", {answer: 1.0})}, words=(6, 9))
    sure = trial(Case(catalogue.strategy("certaindex"), {"every": 4, "agree": 3, "tokens": 400}), world=short).done
    assert (sure.answer, sure.usage.samples) == (answer, 6)


def online(**parameters: Any) -> Trial:
    world = World({"p": Odds("gold", {"gold": 0.5, "lead": 0.5})}, words=(20, 30))
    given = {"n": 12, "warmup": 4, "window": 8, "width": 4, "consensus": 0.0, **parameters}
    return trial(Case(catalogue.strategy("deepconf_online"), given), world=world, max_tokens=60, pace=Pace())


def test_unsure_samples_are_left() -> None:
    lenient, strict = online(keep=1.0), online(keep=0.3)
    assert lenient.done.usage.samples == strict.done.usage.samples == 12
    assert strict.done.usage.completion_tokens < lenient.done.usage.completion_tokens
    left = [sample for sample in strict.done.samples if sample.partial]
    assert left
    for found in (lenient, strict):
        # what was charged is what the server made, to the token
        assert found.backend.served_completion_tokens == found.done.usage.completion_tokens
        assert found.backend.in_flight == 0
    voted = strict.done.selection
    assert voted is not None
    assert voted.sample is not None
    assert not voted.sample.partial


def test_who_is_left_online_is_who_would_be_filtered_offline() -> None:
    for width in (1, 4, 8):
        samples = online(keep=0.3, width=width).done.samples
        least = [sample.summary["least_confidence"] for sample in samples]
        threshold = quantile(least[:4], 0.7)
        assert [sample.partial for sample in samples[4:]] == [each < threshold for each in least[4:]]
        assert not any(sample.partial for sample in samples[:4]), "the warm-up is whole"


def test_a_consensus_ends_it() -> None:
    agreed = trial(Case(catalogue.strategy("deepconf_online"), {"n": 30, "warmup": 3, "window": 4}), script=ALIKE).done
    assert agreed.usage.samples == 3
    code = {"n": 12, "warmup": 3, "window": 4, "compat": True}
    assert trial(Case(catalogue.strategy("deepconf_online"), code), script=ALIKE).done.usage.samples == 12


def test_deepprune_finishes_a_few() -> None:
    world = World({"p": Odds("gold", {"gold": 1.0})}, words=(30, 30))
    parameters = {"n": 8, "truncate": 10, "judge": "logprob", "threshold": -1.0, "vote": 2}
    found = trial(Case(catalogue.strategy("deepprune"), parameters), world=world, max_tokens=60).done
    assert found.answer == "gold"
    assert found.usage.samples == 8 + 2, "one cluster, of which two are finished"
    assert found.usage.completion_tokens == 8 * 10 + 2 * 34
    alone = trial(Case(catalogue.strategy("deepprune"), {**parameters, "threshold": 1.0, "vote": 8}), world=world, max_tokens=60)
    assert alone.done.usage.samples == 16, "nothing is alike: all may vote"
    every = {**parameters, "threshold": 1.0, "diverse": True}
    diverse = trial(Case(catalogue.strategy("deepprune"), every), world=world, max_tokens=60).done
    assert diverse.selection is not None
    assert diverse.selection.submissions == ("gold",)


def test_atts_takes_over_as_often_as_asked() -> None:
    world = World({"p": WORLD.odds["hard"]}, words=(30, 30))
    drafts = {"n": 3, "turns": 3, "chunk": 10, "calibration": [[0.5, 0.1]]}
    used = {}
    for level in (0.0, 1.0):
        case = Case(catalogue.strategy("atts"), {**drafts, "level": level}, "judge")
        used[level] = trial(case, world=world, max_tokens=60).done.usage.samples
    # three turns each: three drafts and three verdicts, and where all is rejected three chunks of the target
    assert used == {0.0: 18, 1.0: 27}
