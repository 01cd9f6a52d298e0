"""OpenAI's own client, unmodified, against the gateway: it must notice nothing but better answers."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pydantic
import pytest

from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.serving import USAGE, Upstream, calls, gateway_over, says, serving

ASK: list[Any] = [{"role": "user", "content": "What is 17 + 25?"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:,x"}}
PICTURE: Any = {"role": "user", "content": [{"type": "text", "text": "Look."}, IMAGE]}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]


def client(base: str, path: str = "/v1", **settings: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=base + path, api_key="none", max_retries=0, **settings)


async def test_single_is_what_the_server_said_and_asked_for_what_the_client_asked() -> None:
    async with serving(Upstream([says("It is 42.")])) as (upstream, base), client(base) as ai:
        answer = await ai.chat.completions.create(
            model="up",
            messages=[
                {"role": "system", "content": "Be brief."},
                PICTURE,
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Sum?", "name": "ann"},
            ],
            temperature=0.3, top_p=0.9, max_completion_tokens=77, stop=["\n\n"], seed=5, presence_penalty=0.5,
            logit_bias={"5": 1}, user="u1", extra_body={"chat_template_kwargs": {"enable_thinking": False}},
        )  # fmt: skip
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason, answer.model) == ("It is 42.", "stop", "up")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 5, 15)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == USAGE["prompt_tokens_details"]["cached_tokens"]  # type: ignore[index]
    (body,) = upstream.bodies
    assert body["messages"][1] == PICTURE
    assert body["messages"][3] == {"role": "user", "content": "Sum?", "name": "ann"}
    assert [turn["role"] for turn in body["messages"]] == ["system", "user", "assistant", "user"]
    sent = {name: body[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "presence_penalty", "user")}
    assert sent == {
        "temperature": 0.3, "top_p": 0.9, "max_tokens": 77, "stop": ["\n\n"], "seed": 5, "presence_penalty": 0.5, "user": "u1",
    }  # fmt: skip
    assert body["logit_bias"] == {"5": 1}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


async def test_what_the_client_leaves_open_is_left_to_the_server() -> None:
    async with serving() as (upstream, base), client(base) as ai:
        await ai.chat.completions.create(model="up", messages=ASK)
        await ai.chat.completions.create(model="up@majority:2", messages=ASK)
    assert not {"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "n"} & upstream.bodies[0].keys()
    assert upstream.bodies[1]["temperature"] == 0.7  # samples that vote must differ
    assert upstream.bodies[1]["seed"] != upstream.bodies[2]["seed"]


async def test_the_sync_client() -> None:
    async with serving(Upstream([says("yes"), says("no"), says("Yes.")])) as (_, base):

        def ask() -> tuple[str | None, str]:
            with openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0) as ai:
                whole = ai.chat.completions.create(model="up@majority:3", messages=ASK)
                parts = ai.chat.completions.create(model="up@majority:3", messages=ASK, stream=True)
                return whole.choices[0].message.content, "".join(chunk.choices[0].delta.content or "" for chunk in parts)

        assert await asyncio.to_thread(ask) == ("yes", "yes")


async def test_a_stream_of_a_single_sample_is_passed_on_with_the_usage_at_its_end() -> None:
    async with serving(Upstream([says("one two three")], finish="length")) as (upstream, base), client(base) as ai:
        stream = await ai.chat.completions.create(
            model="up", messages=ASK, stream=True, stream_options={"include_usage": True}, logprobs=True, top_logprobs=1
        )
        chunks = [chunk async for chunk in stream]
    assert upstream.bodies[0]["stream"] is True
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices][1:4] == ["one", " two", " three"]
    (row,) = chunks[1].choices[0].logprobs.content  # type: ignore[union-attr, misc]
    assert (row.token, len(row.top_logprobs)) == ("one", 1)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 15
    assert not chunks[-1].choices


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_vote_by_what_they_call(stream: bool) -> None:
    script = [
        calls("weather", '{"city":"Oslo","days":1}', "a"), calls("weather", '{"days": 1.0, "city": "Oslo"}', "b"),
        calls("weather", '{"city": "Rome"}', "c"), says("I don't know."), calls("weather", '{"city": "Oslo', "d"),
    ]  # fmt: skip
    async with serving(Upstream(script)) as (upstream, base), client(base) as ai:
        asked: dict[str, Any] = {"model": "up@majority:5", "messages": ASK, "tools": TOOLS, "tool_choice": "auto"}
        if stream:
            async with ai.chat.completions.stream(**asked) as events:
                answer = await events.get_final_completion()
        else:
            answer = await ai.chat.completions.create(**asked)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("a", "weather", '{"city":"Oslo","days":1}')
    assert upstream.bodies[0]["tools"] == TOOLS
    if not stream:  # the broken one is no vote
        assert sorted(answer.outthink["votes"].values()) == [1, 1, 2]  # type: ignore[attr-defined]


async def test_a_single_tool_call_is_streamed_as_it_comes() -> None:
    async with serving(Upstream([calls("weather", '{"city": "Oslo"}')])) as (_, base), client(base) as ai:
        stream = await ai.chat.completions.create(model="up", messages=ASK, tools=TOOLS, stream=True)
        parts = [chunk.choices[0] async for chunk in stream if chunk.choices]
    arguments = [part.delta.tool_calls[0].function.arguments for part in parts if part.delta.tool_calls]  # type: ignore[union-attr]
    assert (len(arguments), "".join(each or "" for each in arguments)) == (3, '{"city": "Oslo"}')
    assert parts[-1].finish_reason == "tool_calls"


async def test_a_tool_s_answer_goes_back_to_the_server_as_it_is() -> None:
    turns: list[Any] = [
        *ASK,
        {**calls("weather", '{"city": "Oslo"}'), "content": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    async with serving() as (upstream, base), client(base) as ai:
        await ai.chat.completions.create(model="up@majority:2", messages=turns, tools=TOOLS)
    assert upstream.bodies[1]["messages"] == turns


class Step(pydantic.BaseModel):
    total: int
    note: str


async def test_structured_output_votes_by_value_and_what_is_no_json_does_not_vote() -> None:
    script = [
        says('{"total": 41, "note": "a"}'), says('{"note": "b", "total": 42}'), says("42!"), says("42!"), says("42!"),
        says('{"total": 42,   "note": "b"}'),
    ]  # fmt: skip
    async with serving(Upstream(script)) as (upstream, base), client(base) as ai:
        answer = await ai.chat.completions.parse(model="up@majority:6", messages=ASK, response_format=Step)
    assert answer.choices[0].message.parsed == Step(total=42, note="b")
    assert upstream.bodies[0]["response_format"]["type"] == "json_schema"


async def test_n_gives_the_best_distinct_answers_first() -> None:
    texts = ["a", "b", "b", "c", "b", "c"]
    async with serving(Upstream([says(text) for text in texts])) as (upstream, base), client(base) as ai:
        best = await ai.chat.completions.create(model="up@majority:6", messages=ASK, n=4)
        plain = await ai.chat.completions.create(model="up", messages=ASK, n=6)
        with pytest.raises(openai.BadRequestError, match="7 answers"):
            await ai.chat.completions.create(model="up@majority:6", messages=ASK, n=7)
    assert [choice.message.content for choice in best.choices] == ["b", "c", "a", "b"]
    assert sorted(choice.message.content or "" for choice in plain.choices) == sorted(texts)
    assert len({body["seed"] for body in upstream.bodies[6:]}) == 6


async def test_several_answers_of_no_strategy_are_streamed_side_by_side() -> None:
    async with serving(Upstream([says("one two"), says("three four")])) as (_, base), client(base) as ai:
        stream = await ai.chat.completions.create(model="up", messages=ASK, n=2, stream=True)
        texts = {0: "", 1: ""}
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    assert sorted(texts.values()) == ["one two", "three four"]


async def test_log_probabilities_are_cut_to_what_the_client_asked_for() -> None:
    async with serving(Upstream([says("one two")])) as (_, base), client(base) as ai:
        answer = await ai.chat.completions.create(
            model="up@best_of_n:2", messages=ASK, logprobs=True, top_logprobs=1, extra_body={"outthink": {"verifier": "judge"}}
        )
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert [(row.token, len(row.top_logprobs)) for row in found.content] == [("one", 1), (" two", 1)]


async def test_completions() -> None:
    async with serving(Upstream([says("four five"), says("six")])) as (upstream, base), client(base) as ai:
        whole = await ai.completions.create(model="up", prompt="one two three", max_tokens=9)
        parts = await ai.completions.create(model="up@majority:2", prompt="one two three", stream=True)
        text = "".join([chunk.choices[0].text async for chunk in parts if chunk.choices])
    assert (whole.choices[0].text, whole.choices[0].finish_reason, whole.object) == ("four five", "stop", "text_completion")
    assert (upstream.bodies[0]["prompt"], upstream.bodies[0]["max_tokens"]) == ("one two three", 9)
    assert upstream.bodies[1]["max_tokens"] == 16  # what this protocol says where the client doesn't
    assert text == "six"


async def test_responses_whole_streamed_parsed_and_with_tools() -> None:
    weather: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    script = [
        says("It rains."), says("It rains."), says("one two"), says('{"total": 1, "note": "x"}'),
        calls("weather", '{"city": "Oslo"}'),
        calls("weather", '{"city": "Oslo"}'), says("done"),
    ]  # fmt: skip
    async with serving(Upstream(script)) as (upstream, base), client(base) as ai:
        whole = await ai.responses.create(model="up@majority:2", instructions="Be kind.", input="Weather?", max_output_tokens=50)
        async with ai.responses.stream(model="up", input="Count.") as events:
            kinds = [event.type async for event in events]
            streamed = await events.get_final_response()
        parsed = await ai.responses.parse(model="up", input="Sum", text_format=Step)
        called = await ai.responses.create(model="up", input="Weather?", tools=[weather])
        async with ai.responses.stream(model="up", input="Weather?", tools=[weather]) as events:
            called_live = await events.get_final_response()
        items: list[Any] = [{"role": "user", "content": "Weather?"}, called.output[0].model_dump(exclude_none=True)]
        items += [{"type": "function_call_output", "call_id": called.output[0].call_id, "output": "rain"}]  # type: ignore[union-attr]
        after = await ai.responses.create(model="up", input=items, tools=[weather])
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            await ai.responses.create(model="up", input="x", previous_response_id="resp_1")
    assert (whole.output_text, whole.status) == ("It rains.", "completed")
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (20, 10)
    assert upstream.bodies[0]["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Weather?"}]
    assert upstream.bodies[0]["max_tokens"] == 50
    assert streamed.output_text == "one two"
    assert kinds.count("response.output_text.delta") == 2
    assert kinds[-1] == "response.completed"
    assert parsed.output_parsed == Step(total=1, note="x")
    for response in (called, called_live):
        (call,) = response.output
        assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city": "Oslo"}')
    assert [turn["role"] for turn in upstream.bodies[-1]["messages"]] == ["user", "assistant", "tool"]
    assert after.output_text == "done"


async def test_models_are_listed_and_found() -> None:
    async with serving(strategy="majority:2") as (_, base), client(base, "/v1/majority:4") as named, client(base) as ai:
        assert [model.id for model in (await named.models.list()).data] == ["up"]
        assert (await ai.models.retrieve("up")).id == "up"
        with pytest.raises(openai.NotFoundError, match="known: up"):
            await ai.models.retrieve("down")


async def test_a_client_s_seed_makes_an_answer_repeatable() -> None:
    async with FakeServer(FakeSettings()) as server, gateway_over(server.url, "fake") as (_, base), client(base) as ai:

        async def ask(**more: Any) -> str:
            answer = await ai.chat.completions.create(model="fake@majority:3", messages=ASK, **more)
            return (answer.choices[0].message.content or "") + str(answer.outthink["votes"])  # type: ignore[attr-defined]

        assert await ask(seed=3) == await ask(seed=3)
        assert len({await ask() for _ in range(4)}) > 1
