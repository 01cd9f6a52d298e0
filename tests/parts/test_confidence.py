"""Readings of log-probability summaries."""

from __future__ import annotations

from array import array

from outthink.core.key import Key
from outthink.core.logprobs import Logprobs
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
