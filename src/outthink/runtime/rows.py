"""How outcomes lie in a journal: table layout, and rows to values and back. Nothing here opens a file."""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BudgetCut
from outthink.core.key import Key
from outthink.core.logprobs import Logprobs
from outthink.core.operation import Generate
from outthink.core.plain import PLAIN
from outthink.core.sample import Failure, Finish, Sample

State = Literal["sent", "paid", "ok", "failed", "refused"]
"""sent: an attempt left us; paid: it failed, and a resume should try again; ok: a sample; failed: it never arrived for good;
refused: no more was asked for from here on (a budget didn't admit it, or it was hopeless)."""

COLUMNS = (
    "run", "path", "seq", "sample", "state", "digest", "text", "finish", "reason", "tokens", "max_tokens",
    "samples", "calls", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
    "unknown_prompt_tokens", "unknown_completion_tokens", "usd", "seconds",
    "prefix", "summary", "meta", "logprobs",
)  # fmt: skip

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS header (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT, answer TEXT, wall_seconds REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS samples ({", ".join(COLUMNS)});
CREATE TABLE IF NOT EXISTS operations (digest TEXT, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes (run INTEGER, path TEXT, seq INTEGER, kind TEXT, digest TEXT, value TEXT);
CREATE TABLE IF NOT EXISTS moments (run INTEGER, wall_seconds REAL, samples INTEGER);
"""
"""operations: what was asked for by the digest that its samples' rows have (`operation_row`); some are there twice.
moments: after so many wall seconds of a run the table of samples went up to this rowid. One for each group."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an operation that is no sample: `value` is plain JSON."""

    kind: str
    digest: str
    value: Any


@dataclass(slots=True)
class Row:
    """One sample's row; see `core.Sample` for the fields, and `State`."""

    path: tuple[int, ...]
    seq: int
    index: int
    state: State
    digest: str
    text: str = ""
    finish: str = ""
    reason: str = ""
    tokens: int | None = None
    max_tokens: int = 0
    usage: Usage = NOTHING
    prefix: str = ""
    summary: Mapping[str, float] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    logprobs: Logprobs | None = None

    @property
    def cut(self) -> BudgetCut | None:
        """The budget that kept the sample from being asked for, or asked for again."""
        if "cut" not in self.meta:
            return None
        scope, dimension, detail, path = self.meta["cut"]
        return BudgetCut(scope, dimension, detail, path=None if path is None else tuple(path))

    def outcome(self, run: str) -> Sample | Failure:
        """What a strategy is told."""
        key = Key(run, self.path, self.seq, self.index)
        if self.state != "ok":
            return Failure(key, self.reason, self.usage)
        return Sample(
            key, self.text, Finish(self.finish), self.tokens, self.usage, self.prefix, self.summary, self.logprobs, self.meta
        )


def to_row(run: int, row: Row) -> tuple[object, ...]:
    """The columns of a row."""
    used = row.usage
    return (
        run, ".".join(map(str, row.path)), row.seq, row.index, row.state, row.digest, clean(row.text), row.finish,
        clean(row.reason), row.tokens, row.max_tokens,
        used.samples, used.calls, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.reasoning_tokens,
        used.unknown_prompt_tokens, used.unknown_completion_tokens, used.usd, used.seconds,
        clean(row.prefix), json.dumps(row.summary) if row.summary else None, json.dumps(row.meta) if row.meta else None,
        None if row.logprobs is None else packed(row.logprobs),
    )  # fmt: skip


def operation_row(digest: str, operation: Generate) -> tuple[str, str]:
    """The columns of what was asked for: prompts by their digests (one where all are the same but for their prefixes)."""
    prompts = [prompt.digest() for prompt in operation.prompts]
    if prompts.count(prompts[0]) == len(prompts):
        del prompts[1:]
    need = None if operation.logprobs is None else operation.logprobs.fields()
    before, after = {"role": operation.role, "prompts": prompts}, {"temperatures": operation.temperatures, "logprobs": need}
    return digest, clean(f'{PLAIN.encode(before)[:-1]},"sampling":{operation.sampling.plain()},{PLAIN.encode(after)[1:]}')


def cut_meta(cut: BudgetCut) -> dict[str, Any]:
    """What `Row.cut` is read from."""
    return {"cut": [cut.scope, cut.dimension, cut.detail, cut.path]}


def sent_row(run: int, key: Key, digest: str, prompt: int, completion: int, usd: float | None) -> tuple[object, ...]:
    """The columns of an attempt that left: one call, and everything it may take is unknown."""
    return (
        run, ".".join(map(str, key.path)), key.seq, key.index, "sent", digest, "", "", "", None, 0,
        0, 1, 0, 0, 0, 0, prompt, completion, usd, 0.0, "", None, None, None,
    )  # fmt: skip


def from_row(values: Sequence[Any]) -> Row:
    """A row from its columns. Raises ValueError, TypeError or KeyError for a broken one."""
    (_, path, seq, index, state, digest, text, finish, reason, tokens, max_tokens, *used) = values
    *usage, prefix, summary, meta, logprobs = used
    if state not in get_args(State) or (state == "ok" and finish not in set(Finish)):
        raise ValueError(f"{state!r} and {finish!r} are no state and end of a sample")
    return Row(
        tuple(int(part) for part in path.split(".")) if path else (),
        seq, index, state, digest, text, finish, reason, tokens, max_tokens, Usage(*usage), prefix,
        json.loads(summary) if summary else {}, json.loads(meta) if meta else {},
        None if logprobs is None else unpacked(logprobs),
    )  # fmt: skip


def packed(logprobs: Logprobs) -> bytes:
    """Log-probabilities as half floats after a head of three int32: tokens, alternatives, vocabulary."""
    values = [*logprobs.chosen, *logprobs.top]
    halves = (min(value, 0.0) if value >= -65000 else -math.inf for value in values)
    return struct.pack(f"<iii{len(values)}e", len(logprobs), logprobs.k, logprobs.vocabulary, *halves)


def unpacked(data: bytes) -> Logprobs:
    """The inverse of `packed`, to three significant digits."""
    tokens, k, vocabulary = struct.unpack_from("<iii", data)
    values = struct.unpack_from(f"<{tokens * (k + 1)}e", data, 12)
    return Logprobs(array("f", values[:tokens]), array("f", values[tokens:]), k, vocabulary)


def clean(text: str) -> str:
    """SQLite stores UTF-8: a lone surrogate from a hostile server becomes a question mark, for the strategy too."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
