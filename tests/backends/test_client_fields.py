"""What a gateway's clients write goes to servers as it is, and what servers say beside the text comes back."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.backends.engines import ENGINES
from outthink.backends.llamacpp.wire import extra_of
from outthink.backends.openai.decode import Unreadable, completion_of
from outthink.backends.openai.encode import Encoder
from outthink.backends.openai.stream import ErrorEvent, StreamReader
from outthink.backends.sse import Event
from outthink.core.backend import Completion, Request
from outthink.core.calls import read
from outthink.core.errors import Permanent
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed
from outthink.core.operation import Generate
from outthink.core.prompt import Message, Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

TURN = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}
PICTURE = Prompt((Message("user", "[image]", json.dumps(TURN)),))


def request(prompt: Prompt, need: LogprobNeed | None = None, **settings: Any) -> Request:
    return Request(prompt, Sampling(**settings), [7], need, watch=None)


def body(prompt: Prompt, need: LogprobNeed | None = None, engine: str = "vllm", **settings: Any) -> dict[str, Any]:
    encoder = Encoder(ENGINES[engine], "m", prefix=ENGINES[engine].capabilities.prefix)
    return json.loads(encoder.body(request(prompt, need, **settings)))


def extra(**fields: Any) -> Prompt:
    return Prompt((Message("user", "Q"),), extra=json.dumps(fields))


def test_turns_and_fields_are_sent_as_they_are() -> None:
    assert body(PICTURE)["messages"] == [TURN]
    sent = body(extra(tools=[{"x": 1}], temperature=None, max_tokens=None, seed=3), temperature=0.7)
    assert sent["tools"] == [{"x": 1}]
    assert sent["seed"] == 3
    assert not {"temperature", "max_tokens"} & sent.keys()
    assert body(PICTURE.continued("So"))["messages"] == [TURN, {"role": "assistant", "content": "So"}]
    large = Prompt((Message("user", "x" * 100_000),), extra='{"tools":[]}')
    assert body(large)["messages"][0]["content"] == "x" * 100_000


@pytest.mark.parametrize(("need", "asked", "sent"), [(None, 2, 2), (5, 2, 5), (1, 2, 2), (5, None, 5)])
def test_log_probabilities_are_as_many_as_either_wants(need: int | None, asked: int | None, sent: int) -> None:
    fields = {} if asked is None else {"logprobs": True, "top_logprobs": asked}
    found = body(extra(**fields), None if need is None else LogprobNeed(need))
    assert (found["logprobs"], found["top_logprobs"]) == (True, sent)
    raw = Prompt(text="Q", extra=json.dumps({"logprobs": asked}))
    assert body(raw, None if need is None else LogprobNeed(need))["logprobs"] == sent


def test_what_clients_write_is_part_of_an_operation_s_digest() -> None:
    def digest(prompt: Prompt) -> str:
        return Generate(Key("r"), (prompt,), 1, Sampling()).digest()

    plain = Prompt((Message("user", "Q"),))
    assert len({digest(each) for each in (plain, extra(a=1), extra(a=2), PICTURE, Prompt((Message("user", "[image]"),)))}) == 5
    assert plain.fields() == ["chat", [["user", "Q"]], ""]  # prompts without them are what they were


def test_more_text_reaches_a_turn_that_is_sent_as_it_is() -> None:
    longer = PICTURE.messages[0].with_more(" Please.")
    assert json.loads(longer.wire)["content"] == [*TURN["content"], {"type": "text", "text": " Please."}]
    plain = Message("user", "Q", '{"role":"user","content":"Q","name":"ann"}').with_more("!")
    assert (plain.content, json.loads(plain.wire)["content"]) == ("Q!", "Q!")


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def whole(**message: Any) -> Completion:
    answer = {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", **message}}]}
    return completion_of(answer, request(PICTURE), chat=True)


def test_tool_calls_are_text_for_who_reads_texts_and_kept_for_who_gave_the_tools() -> None:
    (piece,) = whole(content=None, tool_calls=[CALL], annotations=[]).pieces
    assert (piece.failed, piece.finish) == (None, Finish.EOS)
    assert piece.meta["message"] == {"tool_calls": [CALL], "content": None}
    assert read(piece.text) == ("", [{"name": "f", "arguments": {"a": 1}}])
    (said,) = whole(content="Well.", tool_calls=[CALL]).pieces
    assert read(said.text) == ("Well.", [{"name": "f", "arguments": {"a": 1}}])
    (refused,) = whole(content=None, refusal="No.").pieces
    assert (refused.text, refused.failed) == ("No.", None)
    (nothing,) = whole(content=None, tool_calls="all").pieces
    assert nothing.failed is not None
    (plain,) = whole(content="x", tool_calls=None, refusal=None).pieces
    assert plain.meta == {}


def streamed(*deltas: Any) -> Completion:
    reader = StreamReader(request(PICTURE), chat=True)
    for at, delta in enumerate(deltas):
        finish = "tool_calls" if at == len(deltas) - 1 else None
        reader.read(Event(b"message", json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()))
    return reader.completion(cancelled=False)


def test_a_streamed_call_is_the_same_as_a_whole_one() -> None:
    first = {"index": 0, **CALL, "function": {"name": "f", "arguments": ""}}
    parts = [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in ('{"a"', ": 1}")]
    (piece,) = streamed({"role": "assistant", "content": None}, {"tool_calls": [first]}, *parts, {}).pieces
    assert piece.meta["message"] == {"tool_calls": [CALL], "content": None}
    assert piece.text == whole(content=None, tool_calls=[CALL]).pieces[0].text


NAMES = st.sampled_from(["index", "id", "function", "name", "arguments", "content", "tool_calls"])
FIELDS = st.sampled_from(["content", "tool_calls", "refusal", "reasoning", "audio"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(FIELDS, ANY, max_size=4), max_size=4))
def test_no_server_s_delta_breaks_a_stream_in_a_way_of_its_own(deltas: list[dict[str, Any]]) -> None:
    with contextlib.suppress(Unreadable, ErrorEvent):
        for piece in streamed(*deltas, {}).pieces:
            assert json.dumps(piece.meta).encode()


def test_the_embedded_engine_takes_what_it_can_and_refuses_the_rest() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "title": "t"}}}
    taken = extra_of(extra(response_format=form, temperature=None, user="u", seed=9))
    assert taken == {"json_schema": {"type": "object", "title": "t"}, "seed": 9}
    for prompt in (PICTURE, extra(tools=[]), extra(logprobs=True)):
        with pytest.raises(Permanent, match="embedded engine can't take"):
            extra_of(prompt)
