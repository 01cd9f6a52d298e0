"""What a fake server does and how it misbehaves, as plain data. Nothing here acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from outthink.core.errors import BadInput

CONTENT_FAULTS: Mapping[str, str] = {
    "ignores_n": "answers with one choice whatever n says",
    "null_logprobs": "logprobs asked for come back as null",
    "nan_logprobs": "the middle token's logprob is NaN",
    "swallows_stop": "goes on generating past a stop string",
    "ignores_seed": "the same seed gives another text",
    "ignores_max_tokens": "generates to the natural end of the text",
    "wrong_usage": "usage says half, tenfold or negative completion tokens, in turn",
    "missing_usage": "no usage in the reply",
    "empty_choices": "choices is an empty list",
    "null_content": "the text of every choice is null",
    "duplicate_indices": "every choice has index 0, and the first comes twice",
    "keeps_generating": "a client that leaves does not stop the generation, nor free its slot",
}
WIRE_FAULTS: Mapping[str, str] = {
    "rate_limit": "429 with Retry-After",
    "rate_limit_bare": "429 without Retry-After",
    "server_error": "500 with a JSON error",
    "bad_gateway_html": "502 with an HTML page",
    "error_as_200": "status 200, and an error object for a body",
    "redirect_loop": "307 to the same address",
    "disconnect": "the connection is closed before any header",
    "hang": "no answer ever",
    "half_stream": "the connection is closed in the middle of the body",
    "wrong_length": "Content-Length promises more bytes than come, then the connection is closed",
    "truncated_json": "a complete body (or one event of a stream) that holds half its JSON",
    "malformed_json": "a complete body (or one event) with a broken JSON syntax",
    "bad_utf8": "bytes that are no UTF-8 in the text",
    "slow_drip": "the body comes in sixteen pieces, `drip` seconds apart",
    "huge_body": "the body is preceded by `huge` bytes of white space",
}
FAULTS: Mapping[str, str] = {**CONTENT_FAULTS, **WIRE_FAULTS}


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """Everything a fake server can be told. The command line has one flag for each field.

    `faults` maps names of `FAULTS` to probabilities. Every request draws each fault on its own from a generator
    seeded by `fault_seed`; where several faults of the wire are drawn, the first in the order of `WIRE_FAULTS` acts.
    """

    world_seed: int = 0
    model: str = "fake"
    api_key: str = ""  # when set, requests without it are refused with 401
    latency: float = 0.0  # seconds before the first token
    per_token: float = 0.0  # seconds for each token after that
    slots: int = 0  # requests generating at the same time; 0 is no limit
    overflow: Literal["queue", "refuse"] = "queue"  # beyond the slots: wait in order, or 429 with Retry-After
    retry_after: float = 0.05  # seconds, in every Retry-After header
    storm: int = 1  # requests that are refused in a row once a rate_limit fault is drawn
    context_length: int = 32768  # tokens of prompt and completion; beyond it: 400
    max_n: int = 128
    max_top_logprobs: int = 20
    seeds: bool = True  # the following say what the server can do; a field it cannot serve is accepted and ignored
    logprobs: bool = True
    prompt_logprobs: bool = True  # echo with logprobs, and vLLM's prompt_logprobs
    prefix_cache: bool = True
    guided: bool = True
    continuation: Literal["none", "vllm", "llamacpp"] = "vllm"  # how an open assistant turn is continued
    reasoning: int = 0  # hidden tokens before every text, reported as reasoning tokens
    reasoning_visible: bool = False  # they are sent as reasoning_content
    faults: Mapping[str, float] = field(default_factory=dict)
    fault_seed: int = 0
    drip: float = 0.02
    huge: int = 400_000_000
    ledger: bool = True  # keep one entry for each request, served at /accounts

    def __post_init__(self) -> None:
        for name, probability in self.faults.items():
            if name not in FAULTS:
                raise BadInput(f"the fake server knows no fault {name!r}; it knows: {', '.join(FAULTS)}")
            if not 0 <= probability <= 1:
                raise BadInput(f"the probability of fault {name!r} is {probability!r}; it must lie between 0 and 1")
