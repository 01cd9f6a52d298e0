"""Every setting of the gateway: its name, type, default, bounds and meaning. What a value means for others is `load`'s to check.

The help texts are sentences without a full stop; docs/gateway-operation.md is written from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from outthink.core.budget import Budget, Prices
from outthink.gateway.config.reading import setting


@dataclass(frozen=True, slots=True)
class Server:
    """Where the gateway listens, and where it keeps what must survive a restart."""

    host: str = setting("the address to listen on; beyond this machine only with keys, or with `open`", "127.0.0.1")
    port: int = setting("the port to listen on; 0 takes a free one", 8000, least=0, most=65535)
    open: bool = setting("whether clients need no key although others than this machine can reach the port", False)
    state: Path = setting("the folder of what keys spent today; it is made if missing", Path("gateway-state"))
    timezone: str = setting("where the day of daily budgets begins, such as Europe/Berlin", "UTC")
    drain_seconds: float = setting("how long requests may go on after SIGTERM before they are cut", 30.0, least=0)
    allow_inline_keys: bool = setting("whether `key` of an upstream may hold a secret in this very file", False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What protects the gateway itself: beyond these, clients get 413 or 429 with Retry-After, never a slow death."""

    at_once: int = setting("requests under way at once", 64, least=1, most=65536)
    queue: int = setting("requests that may wait for their turn; more get 429", 256, least=0, most=65536)
    queue_seconds: float = setting("how long one may wait before it gets 429", 30.0, least=0)
    body_bytes: int = setting("largest request body; larger ones get 413", 16 << 20, least=1024)
    bodies_bytes: int = setting(
        "bytes of all request bodies at once, not counting 64 KiB of each; more get 429", 256 << 20, least=1024
    )
    read_seconds: float = setting("how long a client may take to send its request", 30.0, least=0.1)
    nesting: int = setting("how deep JSON may nest in a request", 64, least=4, most=512)
    wrong_keys_per_minute: float = setting(
        "wrong keys that one address may try; then it gets 429, and a right key is let in all the same", 30.0, least=1
    )


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where neither request, key nor model says otherwise."""

    strategy: str = setting("the strategy, such as 'single' or 'majority:8'", "single")
    budget: Budget = setting("the most that one request may spend", Budget(tokens=262_144, seconds=600.0))


@dataclass(frozen=True, slots=True)
class Health:
    """How upstreams are watched, and when one is left alone (its circuit breaker)."""

    every_seconds: float = setting("time between two checks of an upstream (GET /models)", 10.0, least=0.05)
    timeout_seconds: float = setting("after which a check has failed", 5.0, least=0.05)
    failures: int = setting("failures in a row, of checks or of requests, that open the breaker", 3, least=1)
    open_seconds: float = setting("how long an open breaker lets nothing through at first; doubles each time", 5.0, least=0.01)
    longest_open_seconds: float = setting("most that it doubles to", 120.0, least=0.01)
    patience_seconds: float = setting("how long a request waits for an upstream when all are out; then it fails", 10.0, least=0)


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """One server that answers for a model."""

    url: str = setting("its address, such as 'http://10.0.0.5:8000/v1', or 'embedded' or a .gguf file")
    model: str = setting("what the model is called there; without it the server must list exactly one", "")
    name: str = setting("what it is called in metrics and logs; default: host and port", "")
    weight: float = setting("its share of the load against its siblings", 1.0, least=1e-6)
    key_variable: str = setting("the environment variable that holds its API key", "")
    key_file: Path | None = setting("the file that holds its API key, for example of a secret store", None)
    key: str = setting("its API key; refused unless server.allow_inline_keys", "", secret=True)
    engine: str = setting("what it runs (vllm, sglang, llamacpp, ollama, openai), if it won't tell", "")
    probed: Path | None = setting("what `outthink probe URL --json` found, to rely on", None)
    concurrency: int | None = setting("calls at once; default: what it is found to take", None, least=1)
    timeout_seconds: float = setting("after which one call counts as lost", 600.0, least=0.01)


@dataclass(frozen=True, slots=True)
class Model:
    """One public model: a name for clients, and who answers for it. Its table is [models.NAME]."""

    upstreams: tuple[UpstreamSettings, ...] = setting("who answers; several share the load and stand in for each other")
    aliases: tuple[str, ...] = setting("further names that clients may use", ())
    strategy: str = setting("its default strategy; default: that of [defaults]", "")
    parameters: Mapping[str, Any] = setting("parameters of its default strategy, such as { n = 8 }", {})
    budget: Budget | None = setting("the most that one request may spend; default: that of [defaults]", None)
    task: str = setting("the task that extracts and compares answers; default: chosen by the request", "")
    verifier: str = setting("what scores samples: a verifier's name, or package.module:object", "")
    verifiers: Mapping[str, Mapping[str, Any]] = setting("settings by verifier, such as { verdict = { aggregate = 'min' } }", {})
    roles: Mapping[str, str] = setting("who plays further roles: models of this file, or package.module:object", {})
    public: bool = setting("whether clients may name it; false: it only plays roles of other models", True)
    sampling: Mapping[str, Any] = setting("sampling settings that a request may override, such as { temperature = 0.7 }", {})
    prices: Prices | None = setting("USD per million tokens: { prompt, completion, cached }; needed by budgets in $", None)


@dataclass(frozen=True, slots=True)
class KeySettings:
    """One client's key. Its table is [keys.NAME]; `outthink keys new NAME` prints one."""

    hash: str = setting("what `outthink keys` printed; the key itself is written nowhere")
    models: tuple[str, ...] = setting("the public models it may use; default: all", ())
    strategies: tuple[str, ...] = setting("the strategies it may use; default: all", ())
    strategy: str = setting("its default strategy; goes before the model's", "")
    budget: Budget | None = setting("the most that one request may spend; goes before the model's", None)
    daily_budget: Budget = setting("the most that it may spend in a day, such as '2M tokens, $5'", Budget())
    requests_per_minute: float | None = setting("requests; more get 429 with Retry-After", None, least=0.001)
    tokens_per_minute: float | None = setting("tokens; who spent more waits until it is paid off", None, least=1)
    at_once: int | None = setting("requests under way or waiting at once", None, least=1)
    operator: bool = setting("whether it may read metrics, and see every key's requests on the page", False)
    record: bool = setting("whether its requests may be recorded", True)
    expires: date | None = setting("the first day on which it is refused", None)


@dataclass(frozen=True, slots=True)
class Records:
    """The journal of each request: what makes an answer explainable. Nothing is kept without `folder`."""

    folder: Path | None = setting("where journals are kept; without it none are", None)
    default: bool = setting("whether a request is recorded when it doesn't say", True)
    days: float = setting("age at which a record is deleted", 30.0, least=0.0001)
    megabytes: float = setting("what all records may take; the oldest are deleted first", 10_000.0, least=0.01)
    texts: str = setting("what is kept of prompts and samples", "keep", choices=("keep", "redact", "digest"))
    redact: tuple[str, ...] = setting("regular expressions whose matches become [redacted], with texts = 'redact'", ())


@dataclass(frozen=True, slots=True)
class Logs:
    """Structured logs, one JSON object a line, on stderr. They never hold texts, keys or bodies."""

    level: str = setting("the least that is logged", "info", choices=("debug", "info", "warning", "error"))
    requests: bool = setting("whether each request gets a line", True)
    addresses: bool = setting("whether the address of a client is logged", False)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Prometheus metrics at /metrics."""

    open: bool = setting("whether they can be read without a key", False)


@dataclass(frozen=True, slots=True)
class Tracing:
    """OpenTelemetry traces. Off without `endpoint`."""

    endpoint: str = setting("where traces go by OTLP over HTTP, such as 'http://collector:4318/v1/traces'", "")
    share: float = setting("share of requests that are traced when the client doesn't decide", 1.0, least=0, most=1)
    service: str = setting("what the gateway is called in traces", "outthink")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. `path` is where it was read from, "" for a text."""

    models: Mapping[str, Model] = setting("the public models, by name")
    keys: Mapping[str, KeySettings] = setting("the clients' keys, by name", {})
    server: Server = setting("see [server]", Server())
    limits: Limits = setting("see [limits]", Limits())
    defaults: Defaults = setting("see [defaults]", Defaults())
    health: Health = setting("see [health]", Health())
    records: Records = setting("see [records]", Records())
    logs: Logs = setting("see [logs]", Logs())
    metrics: Metrics = setting("see [metrics]", Metrics())
    tracing: Tracing = setting("see [tracing]", Tracing())
    names: Mapping[str, str] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        """`names` maps every name that a client may use, aliases included, to the model's own."""
        found = {name: name for name in self.models}
        for name, model in self.models.items():
            for alias in model.aliases:
                found.setdefault(alias, name)
        object.__setattr__(self, "names", found)

    @property
    def keyless(self) -> bool:
        """Whether clients need no key."""
        return not self.keys or self.server.open
