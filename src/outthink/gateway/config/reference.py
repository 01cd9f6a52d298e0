"""Writes the tables of docs/gateway-operation.md from the settings themselves, so that they can't differ.

python -m outthink.gateway.config.reference docs/gateway-operation.md
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from outthink.core.budget import Budget, Prices
from outthink.gateway.config import settings
from outthink.gateway.config.reading import rule_of, type_words

_TABLES: Mapping[str, type] = {
    "[server]": settings.Server,
    "[limits]": settings.Limits,
    "[defaults]": settings.Defaults,
    "[models.NAME]": settings.Model,
    "[[models.NAME.upstreams]]": settings.UpstreamSettings,
    "[health]": settings.Health,
    "[keys.NAME]": settings.KeySettings,
    "[records]": settings.Records,
    "[logs]": settings.Logs,
    "[metrics]": settings.Metrics,
    "[tracing]": settings.Tracing,
}
BEGIN, END = "<!-- settings: written by `make docs` -->", "<!-- end of settings -->"


def reference() -> str:
    """Every table with its settings, as Markdown."""
    return "\n\n".join(_section(name, kind) for name, kind in _TABLES.items())


def written(path: Path) -> None:
    """Put the tables between the marks of a document."""
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n\n{reference()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _section(name: str, kind: type) -> str:
    rows = [_row(each, get_type_hints(kind)[each.name]) for each in fields(kind)]
    head = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    summary = (kind.__doc__ or "").replace("\n    ", " ").strip()
    return "\n".join([f"### {name}", "", summary, "", *head, *rows])


def _row(each: Field[Any], hint: Any) -> str:
    rule = rule_of(each)
    bounds = [
        f"at least {rule.least:g}" if rule.least is not None else "",
        f"at most {rule.most:g}" if rule.most is not None else "",
    ]
    choices = [" or ".join(f"`{choice}`" for choice in rule.choices)]
    note = ", ".join(filter(None, bounds + choices))
    meaning = rule.help + (f" ({note})" if note else "")
    return f"| `{each.name}` | {type_words(hint)} | {_default(each)} | {meaning.replace('|', chr(92) + '|')} |"


def _default(each: Field[Any]) -> str:
    default = each.default if each.default_factory is MISSING else each.default_factory()
    match default:
        case _ if default is MISSING:
            return "**required**"
        case bool():
            return f"`{str(default).lower()}`"
        case Budget():
            return f'`"{default}"`' if default.limits() else ""
        case None | "" | () | {}:
            return ""
        case Path() | str():
            return f'`"{default}"`'
        case Prices():
            return ""
        case float() | int():
            return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
        case _ if is_dataclass(default):
            return ""
    return ""


if __name__ == "__main__":
    written(Path(sys.argv[1]))
