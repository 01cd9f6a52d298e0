"""From a gateway's records to a pool: what was sampled for real requests, to be asked about later.

Equal conversations are one problem, whoever held them and however often. Answers are told apart as at the gateway: by the form
that the request asked for, and by its task. Nobody knows a right answer unless whoever exports brings golds along.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from outthink import tasks
from outthink.core.errors import BadInput, JournalError
from outthink.core.problem import Problem
from outthink.core.task import Task
from outthink.evaluation.description import require_stated
from outthink.evaluation.export import Asked, Exported, lines
from outthink.evaluation.pool import ALTERNATIVES, VERIFIER
from outthink.evaluation.write import PoolWriter
from outthink.gateway.messages import problem_of
from outthink.gateway.recall import Kept, is_record, read_record
from outthink.gateway.runs import each
from outthink.gateway.settings import left_open

_DAYS = "[0-9]" * 4 + "-" + "[0-9]" * 2 + "-" + "[0-9]" * 2


@dataclass(slots=True)
class ExportedRecords:
    """What went into the pool.

    records:  requests with samples in it
    left_out: samples that were no whole answers to the request itself: a judge's, of another prompt, left in the middle
    skipped:  why records were left out, and how many
    """

    written: int = 0
    left_out: int = 0
    records: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        """Count a record that was left out."""
        self.skipped[why] = self.skipped.get(why, 0) + 1


async def export_records(
    source: str | Path,
    pool: str | Path,
    *,
    task: Task | None = None,
    problems: Iterable[Problem] = (),
    metadata: Mapping[str, str],
) -> ExportedRecords:
    """Write a pool of one record, or of all in a gateway's folder of records (or one day's of it).

    task:     tells texts apart instead of the requests' own
    problems: golds, by a problem's id in the pool or by its text
    metadata: must state a licence; where the samples come from is said if it isn't given

    Raises BadInput for what holds no records, and for a record that was redacted or is no gateway's; in a folder such records are
    left out and counted. And what `PoolWriter` raises.
    """
    require_stated({"provenance": "records of a gateway", **metadata}, f"pool {pool}")
    paths, alone = _paths(Path(source))
    found = _Export(task, problems)
    with PoolWriter(pool) as writer:
        for path in paths:
            try:
                for line in await found.lines_of(path):
                    writer.add(line)
            except (_Unusable, JournalError) as error:
                if alone:
                    raise
                found.told.skip(error.why if isinstance(error, _Unusable) else "they are damaged")
        if not found.told.records:
            why = ", ".join(f"{number} of them: {each}" for each, number in found.told.skipped.items())
            raise BadInput(f"give no samples; {why}", where=f"records {source}")
        writer.metadata.update({**found.described(), **metadata})
    found.told.written = writer.written
    return found.told


class _Unusable(BadInput):
    """A record that gives nothing. why: the same sentence for every such record of a folder."""

    def __init__(self, path: Path, why: str, told: str) -> None:
        super().__init__(told, where=f"record {path}")
        self.why = why


class _Export:
    """One export under way."""

    def __init__(self, task: Task | None, problems: Iterable[Problem]) -> None:
        self._task = task
        self._golds = {name: each.gold for each in problems for name in (each.text, each.id) if each.gold is not None}
        self._asked: dict[str, Asked] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._seen: dict[str, set[str]] = {
            "models": set(),
            "strategies": set(),
            "days": set(),
            "tasks": set(),
            "verifiers": set(),
        }
        self._metadata: dict[str, str] = {}
        self.told = ExportedRecords()

    async def lines_of(self, path: Path) -> list[dict[str, Any]]:
        """The pool rows of one record. Raises _Unusable, BadInput, JournalDamaged."""
        if not is_record(path):
            raise _Unusable(path, "they are no records of a gateway", "was not made by a gateway (outthink serve)")
        kept = read_record(path)
        if kept.redacted:
            why = "were redacted as they were written (records.texts)"
            raise _Unusable(path, f"their texts {why}", f"its texts {why}, so its samples are not what was said")
        asked, counted, stated = self._of(kept), Exported(), dict[str, str]()
        try:
            made = [self._line(kept, asked, line) async for line in lines(path, {kept.run: asked}, counted, stated)]
        except BadInput as error:
            if asked.problem.gold is not None:  # who brought it can mend it
                raise
            raise _Unusable(path, "their task can't read what was asked", f"can't be read by its task: {error}") from error
        self.told.left_out += counted.left_out
        if not made:
            raise _Unusable(path, "they hold no whole sample", "holds no whole sample")
        self.told.records += 1
        strategy = "single" if kept.header["strategy"] == each.name else kept.header["strategy"]
        for name, said in (("models", kept.name), ("strategies", strategy), ("days", kept.at[:10])):
            self._seen[name].add(said)
        if any(line.get("score") is not None for line in made):
            self._seen["verifiers"].update(kept.header["verifiers"].values())
        # Of several numbers of alternatives the pool states the most: each sample says by itself what it can serve.
        most = max((stated, self._metadata), key=lambda each: int(each.get(ALTERNATIVES, -1))).get(ALTERNATIVES)
        self._metadata |= stated | ({} if most is None else {ALTERNATIVES: most})
        return made

    def _line(self, kept: Kept, asked: Asked, line: dict[str, Any]) -> dict[str, Any]:
        """A row as this pool has it: what the request left to the server wasn't recorded, and no task gives its prompt again."""
        left = left_open(json.loads(kept.prompt.extra)) if kept.prompt.extra else []
        sampling = {name: value for name, value in json.loads(line["sampling"]).items() if name not in left}
        at = asked.problem.id, kept.name
        self._numbers[at] += 1
        return {
            **line,
            "model": kept.name,
            "key": kept.record + line["key"].removeprefix(kept.run),
            "sample_index": self._numbers[at] - 1,
            "prompt": None,
            "sampling": json.dumps(sampling),
            "temperature": sampling.get("temperature"),
        }

    def _of(self, kept: Kept) -> Asked:
        """The problem of a request, the same for equal conversations; verifiers' scores are each request's own."""
        named = str(kept.header["task"] or "conversation")
        if self._task is None and named not in ("conversation", *tasks.names()):
            told = f"was answered by the task {named!r}, which isn't built in; name it by --task"
            raise BadInput(told, where=f"record {kept.path}")
        task = self._task if self._task is not None or named == "conversation" else tasks.load(named)
        self._seen["tasks"].add("" if task is None else task.name)
        name = kept.prompt.digest() + (f"-{named}" if self._task is None and task is not None else "")
        if name not in self._asked:
            text = problem_of(kept.prompt).text
            problem = Problem(text, id=name, gold=self._golds.get(name, self._golds.get(text)))
            self._asked[name] = Asked(problem, kept.conversation(task), kept.prompt.digest())
        return replace(self._asked[name], scores={})

    def described(self) -> dict[str, str]:
        """What the pool says of itself."""
        days, of = sorted(self._seen["days"]), {name: ", ".join(sorted(said)) for name, said in self._seen.items()}
        when = " to ".join(dict.fromkeys([days[0], days[-1]]))
        said = f"records of a gateway: {self.told.records} requests for {of['models']}, {when}, answered by {of['strategies']}"
        [task] = self._seen["tasks"] if len(self._seen["tasks"]) == 1 else [""]
        stated = {"task": task, VERIFIER: of["verifiers"]}
        return {**self._metadata, "provenance": said, **{name: value for name, value in stated.items() if value}}


def _paths(source: Path) -> tuple[list[Path], bool]:
    """The records of a folder, oldest day first, or the one that is named; and whether it was. Raises BadInput."""
    if not source.is_dir():
        return [source], True
    found = sorted([*source.glob("*.db"), *source.glob(f"{_DAYS}/*.db")])
    if not found:
        raise BadInput("holds no records, which are FOLDER/YYYY-MM-DD/ID.db", where=f"folder {source}")
    return found, False
