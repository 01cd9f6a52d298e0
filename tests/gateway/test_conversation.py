"""Which answers of a conversation are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink import tasks
from outthink.core import calls
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.gateway.conversation import Conversation, canonical
from outthink.gateway.messages import problem_of, prompt_of
from outthink.gateway.refusal import Refusal

PROMPT = Prompt.chat("What?")


async def classes(conversation: Conversation, *texts: str) -> list[str | None]:
    answers = await conversation.answers(Problem("What?"), list(texts), [])
    return [answer.answer_class for answer in answers]


def called(name: str, arguments: str, text: str = "") -> str:
    return calls.written(text, [{"function": {"name": name, "arguments": arguments}}])


async def test_texts_are_equal_by_the_answer_they_state_or_as_a_whole() -> None:
    one, two, three, other, empty = await classes(
        Conversation(PROMPT), "Well, \\boxed{Paris}.", "I think...\nAnswer: paris", '"PARIS."', "It is Rome.", "  "
    )
    assert one == two == three == "paris"
    assert other == "it is rome"
    assert empty is None


async def test_a_chosen_task_tells_texts_apart() -> None:
    conversation = Conversation(PROMPT, tasks.load("exact"))
    assert conversation.name == "conversation(exact)"
    assert await classes(conversation, "so\nAnswer: B", "Answer: b", "I don't know\nwhat you mean") == ["b", "b", None]


async def test_calls_are_equal_by_function_and_arguments_in_any_order() -> None:
    both = calls.written(
        "", [{"function": {"name": "f", "arguments": '{"x": 1, "y": 2}'}}, {"function": {"name": "g", "arguments": "{}"}}]
    )
    swapped = calls.written(
        "", [{"function": {"name": "g", "arguments": "{}"}}, {"function": {"name": "f", "arguments": '{"y":2,"x":1.0}'}}]
    )
    found = await classes(
        Conversation(PROMPT, tools=True),
        both,
        swapped,
        called("f", '{"x": 1}'),
        called("f", '{"x": 1'),
        "f(1)",
        called("f", '{"x": 2}'),
    )
    assert found[0] == found[1] is not None
    assert found[3] is None
    assert len({name for name in found if name is not None}) == 4
    assert await classes(Conversation(PROMPT, tools=True, must_call=True), "f(1)") == [None]


async def test_json_is_equal_by_value() -> None:
    found = await classes(Conversation(PROMPT, is_json=True), '{"a": 1, "b": [2.0]}', '{"b":[2],"a":1}', '{"a": NaN}', "text")
    assert found[0] == found[1] is not None
    assert found[2:] == [None, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_the_canonical_form_is_its_own_and_survives_any_spelling(value: object) -> None:
    once = canonical(value)
    assert canonical(json.loads(once)) == once
    assert canonical(json.loads(json.dumps(value, indent=2))) == once


@given(st.text(), st.lists(st.tuples(st.text(), st.dictionaries(st.text(), JSON, max_size=2)), min_size=1, max_size=3))
def test_calls_are_read_back_from_any_text_that_they_stand_in(text: str, wanted: list[tuple[str, dict[str, object]]]) -> None:
    written = calls.written(text, [{"function": {"name": name, "arguments": json.dumps(each)}} for name, each in wanted])
    found = calls.read(written)
    assert found is not None
    if calls.CLOSING not in text:
        assert [(call["name"], call["arguments"]) for call in found[1]] == [(name, each) for name, each in wanted]


def test_the_problem_shows_a_judge_what_the_conversation_is_about() -> None:
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "See "}, {"type": "image_url"}]},
    ]
    prompt = prompt_of(turns, {"tools": [1]})
    assert problem_of(prompt).text == "See [image]"
    assert json.loads(prompt.messages[1].wire) == turns[1]
    assert prompt.extra == '{"tools":[1]}'
    more = prompt_of([*turns, {"role": "assistant", "content": "A cat."}, {"role": "user", "content": "Sure?"}], {})
    assert problem_of(more).text == "User: See [image]\n\nAssistant: A cat.\n\nUser: Sure?"


@pytest.mark.parametrize(
    "messages", [None, [], "hi", [1], [{"role": "king", "content": "x"}], [{"role": "user"}], [{"role": "user", "content": [3]}]]
)
def test_messages_that_are_none_are_refused(messages: object) -> None:
    with pytest.raises(Refusal, match="messages"):
        prompt_of(messages, {})
