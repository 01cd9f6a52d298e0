"""Requests and replies of llama.cpp's server core."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.backends.llamacpp.wire import ENDS, Reply, body_of
from outthink.core.backend import Request
from outthink.core.errors import BackendError, Lost, Permanent, Refused
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from tests.backends.llamacpp_chunks import chunk, error_chunk

ASKED = Request(Prompt.raw("Q"), Sampling(stop=("\n",)), [7])


def reply_to(chunks: Iterable[bytes], need: LogprobNeed | None = None, stops: bool = True) -> Reply:
    reply = Reply(need, stops, 100, ENDS)
    for one in chunks:
        reply.feed(one)
    return reply


# --- requests


def test_every_setting_is_stated_and_neutral_ones_sample_nothing_away() -> None:
    body = json.loads(body_of(ASKED, "Q", ENDS, context=99, cache=True))
    assert body["samplers"] == ["temperature"]
    assert body["prompt"] == "Q"
    assert body["seed"] == 7
    assert body["stop"] == ["\n"]
    stated = {"temperature", "top_k", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty", "max_tokens"}
    assert stated <= body.keys()
    assert "logprobs" not in body


def test_filters_act_on_the_distribution_after_the_temperature() -> None:
    sampling = Sampling(top_p=0.9, top_k=5, min_p=0.1, repeat_penalty=1.1)
    body = json.loads(body_of(Request(Prompt.raw("Q"), sampling, [1]), "Q", ENDS, context=99, cache=True))
    assert body["samplers"] == ["penalties", "temperature", "top_k", "top_p", "min_p"]


@given(st.integers(0, 2**64))
def test_no_seed_means_draw_one(seed: int) -> None:
    request = Request(Prompt.raw("Q"), Sampling(), [seed])
    assert 0 <= json.loads(body_of(request, "Q", ENDS, context=9, cache=True))["seed"] < 0xFFFFFFFF


def test_half_a_character_is_refused() -> None:
    with pytest.raises(Permanent, match="surrogate"):
        body_of(ASKED, "\ud800", ENDS, context=9, cache=True)


# --- replies


def test_a_sample_with_exact_counts() -> None:
    reply = reply_to(
        [chunk("", 0, prompt_progress={"processed": 10}), chunk("4", 1), chunk("", 3), chunk("2é", 4), chunk("", 5, end="length")]
    )
    completion = reply.completion()
    piece = completion.pieces[0]
    assert (piece.text, piece.finish, piece.tokens) == ("42é", Finish.LENGTH, 5)
    assert (completion.prompt_tokens, completion.cached_tokens, completion.completion_tokens) == (10, 4, 5)


@pytest.mark.parametrize(
    ("last", "stops", "finish", "text"),
    [
        ("<|im_end|>", True, Finish.EOS, "4"),
        (" 2<|im_end|>", True, Finish.EOS, "4 2"),
        ("", True, Finish.STOP, "4"),
        ("", False, Finish.EOS, "4"),
    ],
)
def test_an_end_token_is_told_from_a_stop_string(last: str, stops: bool, finish: Finish, text: str) -> None:
    piece = reply_to([chunk("4", 1), chunk(last, 2), chunk("", 2, end="stop")], stops=stops).completion().pieces[0]
    assert (piece.finish, piece.text) == (finish, text)


def test_logprobs_become_rows_of_the_asked_width() -> None:
    def token(logprob: float | None, *top: float | None) -> dict[str, Any]:
        return {"id": 1, "token": "a", "logprob": logprob, "top_logprobs": [{"id": 2, "logprob": value} for value in top]}

    chunks = [
        chunk("a", 1, logprobs={"content": [token(-0.5, -0.5, -1.0, -2.0)]}),
        chunk("b", 2, logprobs={"content": [token(None, -0.1)]}),
    ]
    found = reply_to(chunks, LogprobNeed(2)).completion().pieces[0].logprobs
    assert found is not None
    assert list(found.chosen) == [-0.5, -math.inf]
    assert list(found.top) == [-0.5, -1.0, -0.1, -math.inf]
    assert found.vocabulary == 100
    chosen_only = reply_to(chunks[:1], LogprobNeed(0)).completion().pieces[0].logprobs
    assert chosen_only is not None
    assert (list(chosen_only.chosen), list(chosen_only.top)) == ([-0.5], [])


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ({"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}, Permanent, "900 tokens.*512"),
        ({"code": 400, "message": "Field 'stop'"}, Permanent, "Field 'stop'"),
        ({"code": 503, "message": "Loading"}, Refused, "before it generated"),
        ({"code": 500, "message": "slot died"}, Lost, "in the middle: slot died"),
    ],
)
def test_errors_say_whether_another_attempt_helps(error: dict[str, Any], kind: type[BackendError], message: str) -> None:
    before = [chunk("4", 1)] if kind is Lost else []
    with pytest.raises(kind, match=message) as caught:
        reply_to([*before, error_chunk(**error)])
    if isinstance(caught.value, Lost):
        assert (caught.value.prompt_tokens, caught.value.completion_tokens) == (10, 1)


@pytest.mark.parametrize(
    "nonsense", [b"", b"{", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"text":3}]}', b"\xff", b'{"error":3}']
)
def test_nonsense_is_an_error_of_ours(nonsense: bytes) -> None:
    with pytest.raises(Lost, match="can't be read"):
        reply_to([nonsense])
