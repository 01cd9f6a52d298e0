"""Chunks as llama.cpp writes them."""

from __future__ import annotations

import json
from typing import Any


def chunk(text: str, count: int, *, end: str | None = None, logprobs: Any = None, **more: Any) -> bytes:
    """One chunk as llama.cpp writes it; the prompt has 10 tokens, 4 of them cached."""
    event: dict[str, Any] = {"choices": [{"text": text, "index": 0, "logprobs": logprobs, "finish_reason": end}]}
    event["timings"] = {"cache_n": 4, "prompt_n": 6, "predicted_n": count}
    if end is not None:
        event["usage"] = {"completion_tokens": count, "prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}
    return json.dumps(event | more).encode()


def error_chunk(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()
