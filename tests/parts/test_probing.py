"""Probes: when their answers have settled."""

from __future__ import annotations

from outthink.core.task import INVALID, Answer
from outthink.parts import probing


def test_agreement_without_hesitation() -> None:
    seven, eight = Answer("7", "7"), Answer("8", "8")
    told = probing.Certainty(3)
    heard = [seven, seven, eight, seven, seven, INVALID, seven, seven, seven]
    assert [told.heard(answer, "7}") for answer in heard] == [False] * 8 + [True]
    assert not told.heard(seven, "7} Wait, no")
    assert not told.heard(seven, "7}")


def test_hesitation_is_a_word() -> None:
    assert probing.hesitates("Hmm. Hold on")
    assert not probing.hesitates("I know the household button")
    assert probing.hesitates("I know the answer", pieces=True)
    assert not probing.hesitates("")
