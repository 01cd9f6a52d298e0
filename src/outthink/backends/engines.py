"""What each inference server is declared to do, and the words its wire uses for it. Data only: no I/O, no HTTP.

A declaration is where knowledge starts; `outthink.backends.probe` finds out what a server really does. Sources: vLLM
`vllm/entrypoints/openai/*/protocol.py`, SGLang `srt/entrypoints/openai/protocol.py`, llama.cpp `tools/server/README.md`,
Ollama `openai/openai.go` and the OpenAI API reference.

No server that batches is declared to repeat seeds: the same request beside other requests is computed in another order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from outthink.core.capability import Capabilities
from outthink.core.errors import UnknownName

__all__ = ["ENGINES", "Engine", "engine_named"]


@dataclass(frozen=True, slots=True)
class Engine:
    """One kind of server.

    settings:     the wire's name of each sampler setting that it takes, by the name in `Sampling`
    states:       settings that a request states even when they are neutral; the rest is sent only when asked for
    off:          what turns a setting off where that differs from our neutral value
    constants:    further samplers of this server, stated as off
    continuation: chat fields that leave the last assistant turn open, where the server can do that; None: none can
    streaming:    fields that make a stream count its tokens exactly
    one_by_one:   each event of a stream holds one token
    least_top:    alternatives that must be asked for to get log-probabilities at all
    most_stops:   stop strings it takes, or None for no limit
    chat_limit:   the chat field for max_tokens
    echoes:       a whole reply that continues an assistant turn begins with that turn's text (a streamed one doesn't)
    """

    name: str
    capabilities: Capabilities
    settings: Mapping[str, str]
    states: frozenset[str]
    off: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)
    continuation: Mapping[str, object] | None = None
    streaming: Mapping[str, object] = field(default_factory=dict)
    one_by_one: bool = False
    least_top: int = 0
    most_stops: int | None = None
    chat_limit: str = "max_tokens"
    echoes: bool = False


_OPENAI = {name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")}
_OPEN = _OPENAI | {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}
_OPEN_TURN = {"continue_final_message": True, "add_generation_prompt": False}
_COUNTED = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}

_ALL = (
    # vLLM and SGLang take unstated settings from the model's generation_config.json.
    Engine(
        name="vllm",
        capabilities=Capabilities(
            raw=True,
            n=16,
            logprobs=20,
            prefix=True,
            stream=True,
            cancel=True,
            counts=True,
            prompt_logprobs=True,
            token_ids=True,
            guided=True,
        ),
        settings=_OPEN,
        states=frozenset(_OPEN),
        off={"top_k": -1},
        continuation=_OPEN_TURN,
        streaming=_COUNTED,
    ),
    Engine(
        name="sglang",
        capabilities=Capabilities(
            raw=True, n=16, logprobs=20, prefix=True, stream=True, cancel=True, counts=True, prompt_logprobs=True, guided=True
        ),
        settings=_OPEN,
        states=frozenset(_OPEN),
        off={"top_k": -1},
        continuation=_OPEN_TURN,
        streaming=_COUNTED,
    ),
    # Unstated, llama.cpp samples with top_k 40, top_p 0.95, min_p 0.05, or what its command line says. A last assistant
    # message is always continued.
    Engine(
        name="llamacpp",
        capabilities=Capabilities(raw=True, logprobs=20, prefix=True, stream=True, cancel=True, counts=True, guided=True),
        settings=_OPEN | {"repeat_penalty": "repeat_penalty"},
        states=frozenset(_OPEN),
        constants={
            "typical_p": 1.0,
            "top_n_sigma": -1.0,
            "xtc_probability": 0.0,
            "dry_multiplier": 0.0,
            "dynatemp_range": 0.0,
            "mirostat": 0,
        },
        continuation={},
        streaming={"stream_options": {"include_usage": True}, "timings_per_token": True},
        least_top=1,
        echoes=True,
    ),
    # Ollama's top_k, min_p and repeat penalty can't be stated over this interface: they are the Modelfile's.
    Engine(
        name="ollama",
        capabilities=Capabilities(raw=True, stream=True, cancel=True, counts=True, guided=True),
        settings=_OPENAI,
        states=frozenset(_OPENAI),
        one_by_one=True,
    ),
    Engine(
        name="openai",
        capabilities=Capabilities(n=8, logprobs=20, stream=True, guided=True),
        settings=_OPENAI,
        states=frozenset(_OPENAI),
        most_stops=4,
        chat_limit="max_completion_tokens",
    ),
    # Unknown servers may refuse fields that OpenAI doesn't have; such a field is sent when it is asked for.
    Engine(
        name="generic",
        capabilities=Capabilities(raw=True, stream=True),
        settings=_OPEN,
        states=frozenset(_OPENAI),
        continuation=_OPEN_TURN,
        most_stops=4,
    ),
)

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _ALL})


def engine_named(name: str) -> Engine:
    """Raises UnknownName."""
    try:
        return ENGINES[name]
    except KeyError:
        raise UnknownName("engine", name, ENGINES) from None
