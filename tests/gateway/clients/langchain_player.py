"""LangChain's OpenAI models, unmodified: asks the gateway at argv[1] and prints what they understood, as one line of JSON.

With a model's name in argv[2] it asks only what any model can answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import NotFoundError
from pydantic import BaseModel


class Sum(BaseModel):
    """A sum."""

    total: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def model(name: str, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=sys.argv[1], api_key="none", max_retries=0, **more)  # type: ignore[arg-type]


async def any_model(name: str) -> None:
    asked = "Name a colour."
    vote = await model(f"{name}@majority:3", max_tokens=8).ainvoke(asked)
    assert vote.usage_metadata is not None
    whole = None
    async for chunk in model(name, max_tokens=8, temperature=0, stream_usage=True).astream(asked):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.usage_metadata is not None
    streamed = [whole.content, whole.usage_metadata["output_tokens"]]
    print(json.dumps({"vote": [vote.content, vote.usage_metadata["output_tokens"]], "streamed": streamed}))


async def main() -> None:
    told: dict[str, Any] = {}
    vote = model("up@majority:3").invoke("What is 17 + 25?")
    assert vote.usage_metadata is not None
    told["vote"] = [vote.content, vote.usage_metadata["output_tokens"], vote.response_metadata["finish_reason"]]

    chunks = [chunk async for chunk in model("up", stream_usage=True).astream("Count.")]
    told["pieces"] = [chunk.content for chunk in chunks if chunk.content]
    told["streamed_tokens"] = sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata)

    asked = HumanMessage("Weather in Oslo?")
    called = model("up", extra_body={"outthink": {"strategy": "majority", "n": 3}}).bind_tools([weather]).invoke([asked])
    call = called.tool_calls[0]
    told["called"] = [call["name"], call["args"]]
    answer = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    told["after"] = model("up").bind_tools([weather]).invoke([asked, called, answer]).content

    for method in ("json_schema", "function_calling"):
        found = model("up@majority:3").with_structured_output(Sum, method=method).invoke("What is 17 + 25?")
        told[method] = found.model_dump()

    response = model("up@majority:3", use_responses_api=True).invoke("What is 17 + 25?")
    told["response"] = response.text if isinstance(response.text, str) else response.text()
    told["batch"] = [each.content for each in await model("up").abatch(["a", "b"])]
    try:
        model("nothing").invoke("x")
    except NotFoundError as error:
        told["error"] = error.code
    print(json.dumps(told))


asyncio.run(any_model(sys.argv[2]) if len(sys.argv) > 2 else main())
