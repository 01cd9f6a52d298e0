"""Replies to completions, statuses to errors: what the backend makes of what a server sends. No network."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.backends.openai.address import Address
from outthink.backends.openai.decode import Unreadable, completion_of, json_of
from outthink.backends.openai.failures import failure, retry_after
from outthink.backends.openai.stream import ErrorEvent, StreamReader
from outthink.backends.sse import Event
from outthink.core.backend import Request
from outthink.core.errors import Lost, Permanent, Refused
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

CHAT = Prompt.chat("1 + 1?")
KEY = "sk-very-secret-0123456789"


def request(prompt: Prompt = CHAT, n: int = 1, logprobs: LogprobNeed | None = None, **settings: Any) -> Request:
    return Request(prompt, Sampling(**settings), list(range(7, 7 + n)), logprobs)


# --- replies ------------------------------------------------------------------------------------------------------


def reply(*choices: object, **more: object) -> dict[str, Any]:
    return {"choices": list(choices), "usage": {"prompt_tokens": 9, "completion_tokens": 4}, **more}


def choice(index: int = 0, content: object = "two", finish: object = "stop", **more: object) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": finish, **more}


def test_one_bad_choice_never_costs_its_siblings() -> None:
    broken = [choice(0, None), "no choice", choice(2), choice(2, "twice"), choice(9, "too many"), choice(3, "\ud800")]
    pieces = completion_of(reply(*broken), request(n=4), chat=True).pieces
    assert [piece.failed is None for piece in pieces] == [False, True, False]
    assert pieces[1].text == "two"
    assert all(piece.text == "" for piece in pieces if piece.failed)


@pytest.mark.parametrize(
    ("extra", "stops", "finish"),
    [
        ({"stop_reason": None}, ("x",), Finish.EOS),
        ({"stop_reason": "x"}, ("x",), Finish.STOP),
        ({"matched_stop": 2}, (), Finish.EOS),
        ({"matched_stop": "x"}, ("x",), Finish.STOP),
        ({}, (), Finish.EOS),
        ({}, ("x",), Finish.STOP),
        ({"finish_reason": "length"}, (), Finish.LENGTH),
        ({"finish_reason": "abort"}, (), Finish.OTHER),
        ({"finish_reason": None}, (), Finish.OTHER),
        ({"finish_reason": ["stop"]}, (), Finish.OTHER),
    ],
)
def test_why_a_sample_ended(extra: dict[str, object], stops: tuple[str, ...], finish: Finish) -> None:
    assert completion_of(reply(choice() | extra), request(stop=stops), chat=True).pieces[0].finish is finish


def test_withheld_text_is_no_sample_and_spent_reasoning_is_an_empty_one() -> None:
    filtered, spent = choice(0, "par", "content_filter"), choice(1, None, "length")
    spent["message"]["reasoning_content"] = "hmm"
    pieces = completion_of(reply(filtered, spent), request(n=2), chat=True).pieces
    assert "filter" in str(pieces[0].failed)
    assert (pieces[1].failed, pieces[1].text, pieces[1].meta) == (None, "", {"reasoning": "hmm"})


ROWS = [(-0.5, [-0.5, -2.0]), (-3.0, [-0.1, -3.0])]
IN_CHATS = {"content": [{"logprob": value, "top_logprobs": [{"logprob": top} for top in tops]} for value, tops in ROWS]}
IN_TEXTS = {
    "token_logprobs": [value for value, _ in ROWS],
    "top_logprobs": [{"a": -0.5, "b": -2.0}, {"a": -0.1, "b": -3.0, "sampled beyond k": -9.0}],
}


@pytest.mark.parametrize(("chat", "found"), [(True, IN_CHATS), (False, IN_TEXTS), (False, IN_CHATS)])
def test_both_forms_of_logprobs_are_read(chat: bool, found: dict[str, Any]) -> None:
    source = choice(logprobs=found) if chat else {"index": 0, "text": "two", "logprobs": found}
    logprobs = completion_of(reply(source), request(logprobs=LogprobNeed(2)), chat, vocabulary=50).pieces[0].logprobs
    assert logprobs is not None
    assert (list(logprobs.chosen), list(logprobs.row(0)), list(logprobs.row(1))) == ([-0.5, -3.0], [-0.5, -2.0], [-0.1, -3.0])
    assert (logprobs.k, logprobs.vocabulary) == (2, 50)


@pytest.mark.parametrize("bad", [None, math.nan, "x", 0.5, -math.inf, 10**400, True, {}])
def test_impossible_logprobs_fail_the_sample(bad: object) -> None:
    found = {"content": [{"logprob": -0.1, "top_logprobs": []}, {"logprob": bad, "top_logprobs": []}]}
    piece = completion_of(reply(choice(logprobs=found)), request(logprobs=LogprobNeed()), chat=True).pieces[0]
    assert "log-probabilities" in str(piece.failed)
    assert completion_of(reply(choice(logprobs=found)), request(), chat=True).pieces[0].failed is None  # nobody asked


def test_missing_alternatives_are_minus_infinity() -> None:
    found = {"content": [{"logprob": -0.1, "top_logprobs": [{"logprob": None}, {"logprob": -0.1}, {}]}]}
    piece = completion_of(reply(choice(logprobs=found)), request(logprobs=LogprobNeed(2)), chat=True).pieces[0]
    assert list(piece.logprobs.top) == [-0.1, -math.inf]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4}, (9, 4, 0, 0)),
        ({"prompt_tokens": -9, "completion_tokens": 4.5}, (None, None, 0, 0)),
        ({"prompt_tokens": 9, "completion_tokens": True, "prompt_tokens_details": None}, (9, None, 0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 50}}, (9, None, 9, 0)),
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}}, (None, 5, 0, 3)),
        ([], (None, None, 0, 0)),
    ],
)
def test_usage_that_is_absurd_was_not_reported(usage: object, expected: tuple[object, ...]) -> None:
    found = completion_of(reply(choice(), usage=usage), request(), chat=True)
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens, found.reasoning_tokens) == expected


def test_a_server_that_reports_fewer_tokens_than_it_shows_is_not_believed() -> None:
    usage = {"completion_tokens": 1}
    found = completion_of(reply(choice(logprobs=IN_CHATS), usage=usage), request(logprobs=LogprobNeed(2)), chat=True)
    assert (found.completion_tokens, found.pieces[0].tokens) == (2, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("choices index message delta text content logprobs logprob top_logprobs token_logprobs usage".split())
            | st.sampled_from(
                "prompt_tokens completion_tokens prompt_tokens_details cached_tokens finish_reason timings".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(JSON, st.booleans(), st.integers(1, 3))
def test_no_json_surprises_the_decoder(answer: object, chat: bool, n: int) -> None:
    asked = request(n=n, logprobs=LogprobNeed(2))
    try:
        found = completion_of(json_of(json.dumps(answer).encode()), asked, chat)
    except Unreadable:
        pass
    else:
        assert 1 <= len(found.pieces) <= n
    reader = StreamReader(asked, chat)
    try:
        reader.read(Event(b"message", json.dumps(answer).encode()))
    except (Unreadable, ErrorEvent):
        pass
    else:
        assert len(reader.completion(cancelled=False).pieces) == 1


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[]", b"null", b'{"a": "\xff"}', b"[" * 100_000, b"\xff\xfe{}", b'{"a": 1' + b"0" * 9999]
)
def test_broken_bodies_are_unreadable(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        completion_of(json_of(broken), request(), chat=True)


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, Refused) for status in (408, 409, 425, 429, 503, 529)]
    + [(status, Lost) for status in (500, 502, 504)]
    + [(status, Permanent) for status in (302, 307, 400, 401, 403, 404, 413, 422, 501, 204)],
)
def test_who_must_act_follows_from_the_status(status: int, kind: type[Exception]) -> None:
    error = failure("http://x", status, b'{"error": {"message": "so it is"}}')
    assert type(error) is kind
    assert error.status == status
    assert isinstance(error, Permanent) or "so it is" in str(error)
    assert getattr(error, "overloaded", False) == (status in (429, 503, 529))


def test_a_429_without_money_left_is_permanent() -> None:
    words = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    assert isinstance(failure("x", 429, words), Permanent)
    assert isinstance(failure("x", 429, json.loads(words)["error"]), Permanent)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("3", 3.0), ("0.5", 0.5), ("-4", 0.0), ("nan", None), ("inf", None), ("soon", None), ("", None), (None, None)],
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:20:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=lambda: 1445412420.0) == seconds


@pytest.mark.parametrize(
    "words", [f"bad key {KEY}", '{"error": "bad key ' + KEY + '"}', "x" * 290 + KEY, "<html>\x1b[31m" + "y" * 9999]
)
def test_the_servers_words_are_short_and_hold_no_key(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTTHINK_API_KEY", KEY)
    secret = Address.parse("http://x").key()
    told = str(failure("http://x", 401, words.encode(), hide=secret.hidden))
    assert len(told) < 400
    assert told.isprintable()
    assert not any(KEY[:size] in told for size in range(8, len(KEY)))


# --- streams ------------------------------------------------------------------------------------------------------


def stream(*events: object, one_by_one: bool = False, **settings: Any) -> StreamReader:
    reader = StreamReader(request(**settings), chat=True, one_by_one=one_by_one)
    for event in events:
        reader.read(Event(b"message", event if isinstance(event, bytes) else json.dumps(event).encode()))
    return reader


def piece(text: str | None, finish: str | None = None, **more: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    ("counts", "tokens"),
    [
        ([{}, {}], None),  # two events are at least two tokens: no count
        ([{"usage": {"completion_tokens": 3}}, {"usage": {"completion_tokens": 5}}], 5),  # vLLM and SGLang, when asked
        ([{"timings": {"predicted_n": 3}}, {"timings": {"predicted_n": 5}}], 5),  # llama.cpp, when asked
        ([{"usage": None}, {"usage": {"completion_tokens": 1}}], 2),  # fewer than were shown
        ([{"usage": {"completion_tokens": 3}}, {}], None),  # the last event was not counted
    ],
)
def test_tokens_of_a_stream_that_is_left(counts: list[dict[str, Any]], tokens: int | None) -> None:
    reader = stream(*(piece("word ", **count) for count in counts))
    found = reader.completion(cancelled=True)
    assert (found.completion_tokens, found.pieces[0].tokens, reader.ended) == (tokens, tokens, False)
    assert reader.tokens >= 2
    assert found.pieces[0].finish is Finish.CANCELLED


def test_a_server_that_sends_one_token_per_event_is_counted_by_events() -> None:
    assert stream(piece("a"), piece("b"), one_by_one=True).completion(cancelled=True).completion_tokens == 2


@pytest.mark.parametrize(
    ("settings", "counts", "exact"),
    [({}, {}, False), ({"one_by_one": True}, {}, True), ({}, {"usage": {"completion_tokens": 1}}, True)],
)
def test_a_piece_says_whether_its_tokens_were_counted(settings: dict[str, Any], counts: dict[str, Any], exact: bool) -> None:
    delta = stream(**settings).read(Event(b"message", json.dumps(piece("two words", **counts)).encode()))
    assert delta is not None
    assert (delta.tokens, delta.exact) == (1, exact)


def test_a_server_that_cannot_stream_sends_all_at_once() -> None:
    reader = stream(reply(choice(content="all of it", finish="length")))
    found = reader.completion(cancelled=False)
    assert (reader.ended, found.pieces[0].text, found.pieces[0].finish) == (True, "all of it", Finish.LENGTH)
    assert (found.prompt_tokens, found.completion_tokens) == (9, 4)


def test_null_text_through_a_whole_stream_is_no_sample_and_no_text_at_once_is_an_empty_one() -> None:
    usage = {"usage": {"completion_tokens": 9}}
    assert stream(piece(None), piece(None), piece(None, "stop"), usage).completion(cancelled=False).pieces[0].failed
    empty = stream(piece(""), piece(None, "stop"), {"usage": {"completion_tokens": 1}}).completion(cancelled=False)
    assert (empty.pieces[0].text, empty.pieces[0].failed) == ("", None)


@pytest.mark.parametrize(
    ("name", "event", "code"),
    [
        (b"message", {"error": {"message": "out of memory", "code": 503}}, 503),
        (b"message", {"error": {"message": "bad", "code": "server_error"}}, 500),
        (b"message", {"object": "error", "message": "bad", "code": 400}, 400),
        (b"error", {"code": 400, "message": "bad"}, 400),
    ],
)
def test_errors_in_a_stream(name: bytes, event: object, code: int) -> None:
    with pytest.raises(ErrorEvent) as raised:
        StreamReader(request(), chat=True).read(Event(name, json.dumps(event).encode()))
    assert raised.value.code == code


def test_hidden_reasoning_is_counted_as_it_streams() -> None:
    reader = StreamReader(request(), chat=True)
    event = {"choices": [{"index": 0, "delta": {"reasoning_content": "hmm"}}]}
    deltas = [reader.read(Event(b"message", json.dumps(event).encode())) for _ in range(3)]
    assert [delta and (delta.text, delta.tokens) for delta in deltas] == [("", 1)] * 3
