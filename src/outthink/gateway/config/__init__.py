"""The gateway's configuration: a TOML file as typed, checked, immutable data. What the settings do lives where they act.

    config = read("gateway.toml")        # raises BadInput or UnknownName that names file, table and setting

`settings` says what there is, `reading` turns tables into it, `load` checks what depends on more than one setting, and
`reference` writes the tables of docs/gateway-operation.md.
"""

from outthink.gateway.config.load import parse, read
from outthink.gateway.config.settings import (
    Config,
    Defaults,
    Health,
    KeySettings,
    Limits,
    Logs,
    Metrics,
    Model,
    Records,
    Server,
    Tracing,
    UpstreamSettings,
)

__all__ = [
    "Config",
    "Defaults",
    "Health",
    "KeySettings",
    "Limits",
    "Logs",
    "Metrics",
    "Model",
    "Records",
    "Server",
    "Tracing",
    "UpstreamSettings",
    "parse",
    "read",
]
