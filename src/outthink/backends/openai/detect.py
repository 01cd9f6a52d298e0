"""What a server says about itself when a backend is opened: kind, models, context, slots. Nothing is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outthink.backends.openai.address import OPENAI_HOST, Address
from outthink.backends.openai.decode import Unreadable, json_of
from outthink.backends.openai.wire import Wire
from outthink.core.errors import BackendError, Permanent, Refused

__all__ = ["Facts", "ask"]

SECONDS = 15.0
_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "library": "ollama", "ollama": "ollama"}


@dataclass(frozen=True, slots=True)
class Facts:
    """engine: a name in ENGINES; models: ids it lists; context, slots: None where unknown; vocabulary: 0 where unknown."""

    engine: str = "generic"
    version: str = ""
    models: tuple[str, ...] = ()
    context: int | None = None
    slots: int | None = None
    vocabulary: int = 0


async def ask(wire: Wire, address: Address, model: str) -> Facts:
    """Ask. Raises Refused without a connection, Permanent for a refused key; a server that lists no models is generic."""
    if address.host == OPENAI_HOST:
        return Facts(engine="openai", models=(model,) if model else ())
    try:
        server, body = await wire.get("/models", SECONDS)
        listed = _list(json_of(body).get("data"))
    except Permanent as error:
        if error.status in (401, 403):
            raise
        server, listed = "", []
    except Refused:
        raise
    except (BackendError, Unreadable):
        server, listed = "", []
    models = tuple(entry["id"] for entry in listed if isinstance(entry.get("id"), str))
    entry = next((entry for entry in listed if entry.get("id") == model), listed[0] if listed else {})
    engine = _OWNERS.get(str(entry.get("owned_by")), "llamacpp" if "llama.cpp" in server else "generic")
    meta = entry.get("meta")
    vocabulary = _number(meta.get("n_vocab")) if isinstance(meta, dict) else None
    context = _number(entry.get("max_model_len"))
    slots: int | None = None
    version: object = ""
    if engine == "llamacpp":
        props = await _look(wire, "/props")
        settings = props.get("default_generation_settings")
        context = _number(settings.get("n_ctx")) if isinstance(settings, dict) else None
        slots, version = _number(props.get("total_slots")), props.get("build_info")
    elif engine in ("vllm", "generic"):
        version = (await _look(wire, "/version")).get("version")
    elif engine == "ollama":
        version = (await _look(wire, "/api/version")).get("version")
    return Facts(engine, version if isinstance(version, str) else "", models, context, slots, vocabulary or 0)


async def _look(wire: Wire, path: str) -> dict[str, Any]:
    """A page that a server may or may not have."""
    try:
        return json_of((await wire.get(path, SECONDS, root=True))[1])
    except (BackendError, Unreadable):
        return {}


def _list(data: object) -> list[dict[str, Any]]:
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _number(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
