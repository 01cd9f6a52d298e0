"""From what a user writes for a model to a backend. Opening and sharing backends is `outthink.session`'s."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from outthink.core.backend import Backend
from outthink.core.budget import Prices
from outthink.core.errors import BadInput, shortly

if TYPE_CHECKING:
    from outthink.backends.openai.address import Secret

KINDS = (
    "'embedded', 'tiny' (or another of the tiny reasoner's models), a path to a .gguf file, 'hf:owner/repository/file.gguf', "
    "one of these after 'forked:', or the URL of a server, such as 'http://localhost:8000/v1#name'"
)

TINY_SLOTS, TINY_CONTEXT = 16, 512
"""Samples at once, and tokens of each, with which the tiny models are fastest; a second thread only makes them slower."""
FORKED = "forked:"
FORKED_SLOTS = 64
"""Of the tiny models, where samples share what they have in common: more at once is faster still."""
_OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_object(text: str) -> bool:
    """Whether a role's player is a Python object, 'package.module:object', and no model."""
    return _OBJECT.fullmatch(text) is not None and not text.startswith(FORKED)


def backend_of(
    model: str | Path | Backend,
    *,
    prices: Prices | None = None,
    engine: str = "",
    probed: str | Path | None = None,
    key: Secret | None = None,
) -> Backend:
    """The backend that `model` names; a backend is returned as it is.

    - `embedded`: the small instruct model that comes as a package, run in this process
    - `tiny`, `tiny-search`, `tiny-weak`, `tiny-verifier`, `tiny-verifier-rollouts`, `tiny-rewards`: the tiny reasoner
      (docs/tiny.md), which comes with Outthink and only knows the tasks `countdown`, `countdown_search` and `calc`
    - a path that ends in .gguf, or `hf:owner/repository/file.gguf`: that file, run in this process
    - `forked:` and one of these: the same file, whose samples share every token they have in common (docs/sharing.md)
    - `http(s)://host[:port][/v1]#name`: a model on an OpenAI-compatible server; without #name the server's only one
    - `pooling:URL#name`, `score:URL#name`, `classify:URL#name`: a reward model, for the verifier `reward`

    prices: of a model that doesn't state its own
    engine: what a server runs (vllm, sglang, llamacpp, ollama, openai), where asking it doesn't tell
    probed: file of a probe's report: what the server was seen to do is then relied on, whatever its engine
    key:    a server's API key; None: the environment's

    Raises BadInput for anything else, UnknownName for an engine, MissingExtra where a dependency isn't installed.
    """
    if isinstance(model, Backend):
        if prices is not None or engine or probed is not None:
            raise BadInput(f"{model.name} is made already and has its own", where="prices, engine, probed")
        return model
    if not isinstance(model, str | Path):
        raise BadInput(f"{shortly(model)} names no model; it is {KINDS}", where="model")
    text = str(model)
    if text.startswith(("http://", "https://")):
        from outthink.backends.openai import OpenAIBackend

        capabilities = None
        if probed is not None:
            from outthink.backends.probe import ProbeReport

            capabilities = ProbeReport.read(probed).capabilities()
        return OpenAIBackend(text, prices=prices, engine=engine, capabilities=capabilities, key=key)
    endpoint, colon, rest = text.partition(":")
    if colon and rest.startswith(("http://", "https://")):
        from outthink.backends.rewards import RewardBackend

        return RewardBackend(rest, endpoint=endpoint, prices=prices, key=key)
    if engine or probed is not None:
        raise BadInput(f"are for servers, and {text!r} is none", where="engine, probed")
    from outthink.backends.forked import ForkedBackend
    from outthink.backends.llamacpp import LlamaCppBackend
    from outthink.backends.weights import SHIPPED

    if text.startswith(FORKED) and _is_file(text.removeprefix(FORKED)):
        name = text.removeprefix(FORKED)
        if name in SHIPPED:
            return ForkedBackend(name, slots=FORKED_SLOTS, context=TINY_CONTEXT, threads=1, prices=prices)
        return ForkedBackend(name, prices=prices)
    if text in SHIPPED:
        return LlamaCppBackend(text, slots=TINY_SLOTS, context=TINY_CONTEXT, threads=1, prices=prices)
    if _is_file(text):
        return LlamaCppBackend(text, prices=prices)
    raise BadInput(f"{text!r} names no model; it is {KINDS}", where="model")


def _is_file(text: str) -> bool:
    """Whether it names a model file."""
    from outthink.backends.weights import SHIPPED

    return text == "embedded" or text in SHIPPED or text.startswith("hf:") or text.endswith(".gguf")


def prices_of(prices: Prices | Mapping[str, float] | None) -> Prices | None:
    """Prices from a mapping with "prompt" and "completion", and perhaps "cached", in usd per million tokens."""
    if prices is None or isinstance(prices, Prices):
        return prices
    try:
        return Prices(**prices)
    except TypeError:
        raise BadInput("give prompt and completion, and perhaps cached, in usd per million tokens", where="prices") from None
