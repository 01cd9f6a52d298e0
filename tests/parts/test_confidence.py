"""Readings of log-probability summaries."""

from __future__ import annotations

import math
import random
from array import array

import pytest

from outthink.core.errors import PoolMiss, UnknownName
from outthink.core.key import Key
from outthink.core.logprobs import Logprobs, groups
from outthink.core.operation import Partial
from outthink.core.sample import Finish, Sample
from outthink.parts import confidence


def sample(**summary: float) -> Sample:
    return Sample(Key("run"), "text", Finish.EOS, summary=summary)


def test_forms_are_never_mixed() -> None:
    both = sample(self_certainty=0.3, token_confidence=5.0)
    assert confidence.self_certainty([both, sample()]) == confidence.Reading([0.3, None], "self_certainty")
    mixed = confidence.self_certainty([both, sample(token_confidence=6.0)])
    assert mixed == confidence.Reading([5.0, 6.0], "token_confidence")
    assert confidence.self_certainty([sample(mean_logprob=-1.0)]) == confidence.Reading([None], "")
    assert confidence.mean_logprob([sample(mean_logprob=-1.0)]).values == [-1.0]
    assert confidence.self_certainty([]) == confidence.Reading([], "")


def test_sharper_tokens_are_surer() -> None:
    def certainty(probability: float) -> float:
        import math

        rest = (1 - probability) / 9
        top = [math.log(probability), *[math.log(rest)] * 9]
        found = sample(**Logprobs(array("d", top[:1]), array("d", top), 10, 11).summary())
        value = confidence.self_certainty([found]).values[0]
        assert value is not None
        return value

    assert certainty(0.2) < certainty(0.5) < certainty(0.9)


def test_groups() -> None:
    values = [3.0, 1.0, 2.0, 6.0, 4.0]
    found = groups(values, 2)  # means of pairs: 2, 1.5, 4, 5
    assert found == {"least_confidence": 1.5, "bottom_confidence": 1.5, "tail_confidence": 5.0}
    assert list(groups(values, 9).values()) == pytest.approx([16 / 5] * 3), "shorter than the window: one group"
    chance = random.Random(0)
    many = [chance.random() for _ in range(300)]
    means = sorted(math.fsum(many[at : at + 64]) / 64 for at in range(300 - 63))
    found = groups(many, 64)
    assert found["bottom_confidence"] == pytest.approx(math.fsum(means[:23]) / 23)
    assert (found["least_confidence"], found["tail_confidence"]) == pytest.approx((means[0], math.fsum(many[-64:]) / 64))


def test_a_stream_is_unsure_at_its_first_full_window_below() -> None:
    values, rule = [5.0, 5.0, 1.0, 1.0, 5.0, 5.0], confidence.Unsure(2, 3.0)
    fired = [rule(Partial("", at, values[:at])) for at in range(len(values) + 1)]
    assert fired == [False, False, False, False, True, False, False]
    # 3.0 itself is no less than the threshold, and what never filled a window is never left
    assert not confidence.Unsure(9, 3.0)(Partial("", 6, values))
    assert groups(values, 2)["least_confidence"] < 3.0, "whoever is left would not have voted"


def test_the_surest_stay() -> None:
    assert confidence.quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert confidence.surest([1.0, None, 4.0, 2.0, 3.0], 0.5) == [None, None, 4.0, None, 3.0]
    assert confidence.surest([1.0, None, 4.0], 1.0) == [1.0, None, 4.0]
    assert confidence.surest([None], 0.1) == [None]
    assert [confidence.quantile([7.0], share) for share in (0.0, 0.3, 1.0)] == [7.0] * 3


def test_what_was_not_recorded_is_missed() -> None:
    bare = Sample(Key("run", (), 0, 0), "text", Finish.EOS, 3)
    with pytest.raises(PoolMiss, match="least"):
        confidence.grouped([bare], "least", "test")
    with pytest.raises(UnknownName, match="bottom"):
        confidence.grouped([bare], "botom", "test")
