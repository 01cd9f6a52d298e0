"""LiteLLM, unmodified: asks the gateway at argv[1] and prints what it understood, as one line of JSON.

With a model's name in argv[2] it asks only what any model can answer.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import litellm

litellm.suppress_debug_info = True
MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def ask(name: str, **more: Any) -> Any:
    settings = {"api_base": sys.argv[1], "api_key": "none", "max_retries": 0, "num_retries": 0}
    return litellm.completion(model=f"openai/{name}", messages=MESSAGES, **settings, **more)


def any_model(name: str) -> None:
    vote = ask(f"{name}@majority:3", max_tokens=8)
    chunks = list(ask(name, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    told = {"vote": vote, "streamed": whole}
    print(json.dumps({kind: [each.choices[0].message.content, each.usage.completion_tokens] for kind, each in told.items()}))


def main() -> None:
    told: dict[str, Any] = {}
    vote = ask("up@majority:3", temperature=0.4)
    told["vote"] = [vote.choices[0].message.content, vote.usage.completion_tokens, vote.choices[0].finish_reason]

    chunks = list(ask("up", stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    told["streamed"] = [whole.choices[0].message.content, whole.usage.completion_tokens]

    called = ask("up", tools=TOOLS, extra_body={"outthink": {"strategy": "majority", "n": 3}})
    call = called.choices[0].message.tool_calls[0].function
    told["called"] = [call.name, json.loads(call.arguments)]

    parsed = ask("up@majority:3", response_format={"type": "json_object"})
    told["parsed"] = json.loads(parsed.choices[0].message.content)

    headers = {"X-Outthink-Strategy": "majority:3"}
    told["header"] = ask("up", extra_headers=headers).choices[0].message.content
    try:
        ask("up@nothing")
    except Exception as error:  # noqa: BLE001  # whichever class it is, is what is told
        told["error"] = type(error).__name__
    print(json.dumps(told))


if len(sys.argv) > 2:
    any_model(sys.argv[2])
else:
    main()
