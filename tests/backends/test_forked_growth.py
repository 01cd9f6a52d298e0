"""One sample on its way: stop strings, halves of characters, ends and log-probabilities, without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numpy", reason="forked sequences need the extra `forked`")

import numpy as np

from outthink.backends.forked.growth import Growth
from outthink.core.backend import Request
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

PIECES = [b"a", b"b", b"ab", b"\n", b"\xc3", b"\xa4", b"", None]
END = len(PIECES) - 1


def growth(*, stop: Sequence[str] = (), limit: int = 99, need: LogprobNeed | None = None) -> Growth:
    request = Request(Prompt.raw("x"), Sampling(stop=tuple(stop)), [1], logprobs=need)
    named = lambda token: (PIECES[token] or b"<end>").decode(errors="replace")  # noqa: E731
    return Growth(request, [0, 1], limit, piece=PIECES.__getitem__, named=named, vocabulary=len(PIECES))


def fed(sample: Growth, tokens: Sequence[int]) -> tuple[str, Finish | None, list[str]]:
    row = np.zeros(len(PIECES), np.float32)
    told = []
    for token in tokens:
        assert sample.finish is None
        told.append(sample.add(token, row, math.log(len(PIECES))).text)
        if sample.finish is not None:
            break
    piece = sample.completion().pieces[0]
    assert "".join(told) == piece.text
    assert piece.tokens == len(told)
    return piece.text, sample.finish, told


@pytest.mark.parametrize(
    ("stop", "tokens", "text", "finish"),
    [
        (["\n"], [0, 3], "a", Finish.STOP),
        (["ba"], [0, 1, 1, 2], "ab", Finish.STOP),  # across two tokens, and nothing of it is shown
        (["bb"], [0, 1, 0, 1, 7], "abab", Finish.EOS),  # half a stop string was none
        (["ab", "b"], [2], "", Finish.STOP),  # the earliest one
        ([], [0, 4, 5, 7], "aä", Finish.EOS),
        ([], [0, 4, 7], "a\ufffd", Finish.EOS),
        (["ä"], [4, 5], "", Finish.STOP),
        ([], [6, 6, 7], "", Finish.EOS),
    ],
)
def test_where_it_ends(stop: list[str], tokens: list[int], text: str, finish: Finish) -> None:
    assert fed(growth(stop=stop), tokens)[:2] == (text, finish)


def test_its_limit_ends_it_and_what_was_held_back_is_shown() -> None:
    assert fed(growth(stop=["bbb"], limit=3), [0, 1, 1]) == ("abb", Finish.LENGTH, ["a", "", "bb"])


def test_left_it_has_what_was_told() -> None:
    text, finish, told = fed(growth(stop=["bbb"]), [0, 1])
    assert (text, finish, told) == ("a", None, ["a", ""])


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=2))
def test_stop_strings_cut_where_a_plain_search_finds_them(tokens: list[int], stop: list[str]) -> None:
    text, finish, _ = fed(growth(stop=stop), [*tokens, END])
    whole, found = "", None
    for token in tokens:  # the text that has a stop string first, token by token
        whole += (PIECES[token] or b"").decode()
        if found := [whole.find(each) for each in stop if each in whole]:
            break
    assert (text, finish) == ((whole[: min(found)], Finish.STOP) if found else (whole, Finish.EOS))


def test_log_probabilities_and_the_first_tokens_names() -> None:
    sample = growth(need=LogprobNeed(top=2, keep=True, first=True))
    row = np.log(np.array([0.5, 0.25, 0.125, 0.125, 0, 0, 0, 0]) + 1e-9).astype(np.float32)
    for token in (1, 0):
        sample.add(token, row, 0.0)
    piece = sample.completion().pieces[0]
    assert piece.logprobs is not None
    assert list(piece.logprobs.chosen) == pytest.approx([math.log(0.25), math.log(0.5)])
    assert list(piece.logprobs.row(0)) == pytest.approx([math.log(0.5), math.log(0.25)])
    assert piece.meta["first_token"] == pytest.approx({"a": math.log(0.5), "b": math.log(0.25)})
    assert growth().completion().pieces[0].logprobs is None
