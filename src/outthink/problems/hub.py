"""Data sets of the Hugging Face hub, by the library `datasets` (extra `hub`). Code that a data set brings is never run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.problems.rows import Row

_NAME = re.compile(r"hf:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:/(?P<config>[\w.-]+))?(?::(?P<split>[\w.\[\]%:+-]+))?", re.ASCII)


def read(source: str) -> Iterator[tuple[str, Row]]:
    """Rows of `hf:owner/name[/configuration][:split]`; the split is `test` unless named. Raises BadInput, MissingExtra."""
    match = _NAME.fullmatch(source)
    if match is None:
        raise BadInput("is not of the form hf:owner/name, hf:owner/name:split or hf:owner/name/configuration:split", where=source)
    try:
        import datasets
    except ImportError:
        raise MissingExtra("reading data sets of the hub", "hub") from None
    split = match["split"] or "test"
    try:
        table: Any = datasets.load_dataset(match["name"], match["config"], split=split)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise BadInput(f"the split {split} can't be had: {reason}", where=source) from error
    for number, row in enumerate(table, 1):
        yield f"{source}: row {number}", row
