"""Unmodified clients over real models: the embedded one, and llama.cpp's own HTTP server with the same weights.

What such a small model says is no matter; that it arrives whole, in the form that was asked for, and truly counted, is.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from outthink.backends.weights import model_file
from outthink.testing.gateway_process import GatewayProcess
from outthink.testing.llama_server import llama_server
from tests.gateway.clients.test_unmodified import program, said_by

pytestmark = [pytest.mark.model, pytest.mark.slow]

ASK: list[Any] = [{"role": "user", "content": "Name a colour."}]
FUNCTION = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]},
}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]


class Colour(BaseModel):
    colour: Literal["red", "blue"]
    sure: bool


@pytest.fixture(scope="module", params=["embedded", "llama.cpp"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The gateway's URL and the model's public name."""
    pytest.importorskip("xllamacpp")
    if request.param == "embedded":
        with GatewayProcess("embedded") as gateway:
            yield gateway.url, "embedded"
    else:
        with llama_server(model_file("embedded"), slots=2) as url, GatewayProcess(url) as gateway:
            yield gateway.url, openai.OpenAI(base_url=gateway.url, api_key="none").models.list().data[0].id


@pytest.fixture
def client(served: tuple[str, str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served[0], api_key="none", max_retries=0, timeout=500) as found:
        yield found


def test_chats_whole_streamed_and_voted_on(served: tuple[str, str], client: openai.OpenAI) -> None:
    name = served[1]
    settings: dict[str, Any] = {"messages": ASK, "max_tokens": 8, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(model=name, **settings)
    assert whole.usage is not None
    assert (whole.choices[0].message.content or "").strip()
    assert 1 <= whole.usage.completion_tokens <= 8
    assert whole.usage.prompt_tokens > 5
    stream = client.chat.completions.create(model=name, stream=True, stream_options={"include_usage": True}, **settings)
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    vote = client.chat.completions.create(model=f"{name}@majority:3", messages=ASK, max_tokens=8)
    assert vote.usage is not None
    assert (vote.usage.outthink["samples"], vote.usage.prompt_tokens) == (3, 3 * whole.usage.prompt_tokens)  # type: ignore[attr-defined]
    assert 3 <= vote.usage.completion_tokens <= 24
    two = client.chat.completions.create(model=name, messages=ASK, max_tokens=4, n=2)
    assert [choice.index for choice in two.choices] == [0, 1]
    text = client.completions.create(model=name, prompt="1, 2, 3,", max_tokens=6, temperature=0)
    assert "4" in text.choices[0].text


def test_structured_outputs_are_parsed_and_vote_by_value(served: tuple[str, str], client: openai.OpenAI) -> None:
    # At temperature 0 none of them fills its space with blanks, as the schema lets it.
    asked: dict[str, Any] = {"max_tokens": 40, "temperature": 0}
    answer = client.chat.completions.parse(messages=ASK, response_format=Colour, model=f"{served[1]}@majority:3", **asked)
    assert isinstance(answer.choices[0].message.parsed, Colour)
    assert sum(answer.outthink["votes"].values()) == 3  # type: ignore[attr-defined]
    with client.chat.completions.stream(messages=ASK, response_format=Colour, model=served[1], **asked) as events:
        assert isinstance(events.get_final_completion().choices[0].message.parsed, Colour)
    parsed = client.responses.parse(
        model=served[1], input="Name a colour.", text_format=Colour, max_output_tokens=40, temperature=0
    )
    assert isinstance(parsed.output_parsed, Colour)


def test_tools_are_called_or_refused_with_what_would_do(served: tuple[str, str], client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"messages": ASK, "tools": TOOLS, "tool_choice": "required", "max_tokens": 20}
    if served[1] == "embedded":
        with pytest.raises(openai.BadRequestError, match="serve the model with an OpenAI-compatible server"):
            client.chat.completions.create(model="embedded", **asked)
        return
    # Whether the model calls is llama.cpp's to enforce, which it does for some templates only. A vote takes no text for a call.
    try:
        answer = client.chat.completions.create(model=f"{served[1]}@majority:2", **asked)
    except openai.InternalServerError as error:
        assert (error.status_code, error.code) == (502, "no_valid_answer")  # noqa: PT017  # either may come
    else:
        (call,) = answer.choices[0].message.tool_calls or ()
        assert call.type == "function"
        assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")


def test_responses_whole_and_streamed(served: tuple[str, str], client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"input": "Name a colour.", "max_output_tokens": 8, "temperature": 0}
    whole = client.responses.create(model=served[1], **asked)
    assert whole.output_text.strip()
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(model=served[1], **asked) as events:
        *_, last = events
    assert last.type in ("response.completed", "response.incomplete")  # it may be cut
    assert "".join(part.text for item in last.response.output for part in item.content) == whole.output_text  # type: ignore[union-attr]
    assert client.responses.create(model=f"{served[1]}@majority:2", **asked).output_text.strip()


async def test_many_at_once_and_some_of_them_leave(served: tuple[str, str]) -> None:
    async with openai.AsyncOpenAI(base_url=served[0], api_key="none", max_retries=0, timeout=500) as client:

        async def leave() -> None:
            stream = await client.chat.completions.create(model=served[1], messages=ASK, max_tokens=400, stream=True)
            async for _ in stream:
                await stream.close()
                return

        async def ask(at: int) -> str | None:
            model = f"{served[1]}@majority:2" if at % 2 else served[1]
            settings: dict[str, Any] = {"max_tokens": 6, "temperature": 0}  # else one of a hundred says nothing at all
            return (await client.chat.completions.create(model=model, messages=ASK, **settings)).choices[0].message.content

        answers, _ = await asyncio.gather(asyncio.gather(*map(ask, range(6))), asyncio.gather(*[leave() for _ in range(4)]))
    assert all(answers)


PLAYERS = ["langchain", "litellm", "openai_javascript", "curl"]


@pytest.mark.parametrize("player", PLAYERS)
def test_other_clients(player: str, served: tuple[str, str]) -> None:
    url, name = served
    if player == "curl":
        if shutil.which("curl") is None:
            pytest.skip("curl isn't here")
        body = {"model": f"{name}@majority:3", "messages": ASK, "max_tokens": 8}
        out = subprocess.run(["curl", "-sS", "--fail", f"{url}/chat/completions", "-d", json.dumps(body)], capture_output=True)
        answer = json.loads(out.stdout)
        told = {"vote": [answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]]}
        told["streamed"] = told["vote"]
    else:
        command, environment = program(player)
        told = asyncio.run(said_by(*command, url, name, **environment))
    for text, tokens in (told["vote"], told["streamed"]):
        assert text.strip()
        assert tokens >= 1
