"""Recording: a run whose product is a pool. Samples are taken once, resumably, and kept for every later question.

What a pool is lives in `outthink.evaluation`; asking it is `outthink eval --pool`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from outthink.api import run_anywhere
from outthink.core.backend import Backend
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, InternalError, JournalLocked
from outthink.core.given import instance, whole
from outthink.core.logprobs import LogprobNeed
from outthink.core.operation import EventKind
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Result, Selection
from outthink.core.strategy import strategy
from outthink.core.task import Task
from outthink.evaluation.combine import merged, renumbered
from outthink.evaluation.description import require_stated
from outthink.evaluation.export import export
from outthink.evaluation.pool import Pool
from outthink.problems import Problems, load
from outthink.runtime.recorded import holds_samples
from outthink.runtime.spec import RunSpec
from outthink.session import DEFAULT_TASK, Session


@strategy("record")
async def samples_of(run: Run, problem: Problem, n: int = 1, every: int | None = None) -> Selection:
    """n samples, chosen among by nobody; with `every`, streamed, so that what they had said every so many tokens is kept."""
    if every is None:
        await run.generate(problem, n)
        return Selection(None)
    under_way = dict.fromkeys([await run.start(problem, every=every) for _ in range(n)])
    while under_way:
        event = await run.next(under_way)
        if event.kind is not EventKind.PARTIAL:
            del under_way[event.handle]
    return Selection(None)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording came to: samples that were added, how many of them failed and have an answer, and all that the pool
    holds now."""

    pool: Path
    added: int
    failed: int
    held: int
    answered: int = 0


async def record_async(
    problems: str | Path | Problems | Iterable[Problem | str],
    pool: str | Path,
    *,
    samples: int,
    model: str | Path | Backend = "embedded",
    task: str | Task = DEFAULT_TASK,
    provenance: str | None = None,
    licence: str | None = None,
    logprobs: int | None = None,
    arrays: bool = False,
    every: int | None = None,
    journal: str | Path | None = None,
    notes: Mapping[str, Any] | None = None,
    progress: Callable[[int, int, Result], None] | None = None,
    **session: Any,
) -> Recording:
    """Record until the pool holds `samples` of each problem by this model; what it holds already is not asked for again. A sample
    that failed isn't held: the next recording asks for another in its place.

    provenance, licence: what the pool says of itself; required for a new one
    logprobs: alternatives per token that the summaries are made of; 0: of the chosen tokens only; None: none are asked for
    arrays:   keep the log-probabilities of every token too
    every:    keep what each sample had said every so many tokens (the model must stream)
    journal:  the file that makes it resumable; None: beside the pool, and deleted at the end or where nothing was paid for
    progress: called after each problem with (problems done, problems in all, its result)

    Raises BadInput, also where the pool asks something else under the same id or in another task's words, and what `Session`
    raises.
    """
    for name, path in (("pool", pool), ("journal", journal)):
        instance(name, path, (str, Path), "a file's name")
    target, asked = Path(pool), load(problems)
    for name, number, least in (("samples", samples, 1), ("every", every, 1), ("logprobs", logprobs, 0)):
        if number is not None:
            whole(name, number, least)
    before = _before(target)
    stated = {**(before.metadata if before else {}), **_given(provenance=provenance, licence=licence)}
    require_stated(stated, f"pool {target}")
    held = _held(before, asked)
    need = None if logprobs is None and not arrays else LogprobNeed(logprobs or 0, arrays)
    file = journal_of(target) if journal is None else Path(journal)
    header = {"kind": "record", "problems": asked.fingerprint, "samples": samples, "every": every,
              "logprobs": None if need is None else need.fields(), "held": _digest(held)}  # fmt: skip
    opened = Session(model, task=task, journal=file, header=header, notes=notes, logprobs=need, **session)
    own = (before.metadata if before else {}).get("task", opened.task.name)
    if own != opened.task.name:
        message = (
            f"holds answers to the prompts of task {own!r}; record with it, or those of {opened.task.name!r} into a new pool"
        )
        raise BadInput(message, where=f"pool {target}")
    with _unless_paid(file, journal):
        async with opened.only_for([(samples_of, {})]):
            have = {problem: counts for (problem, of), counts in held.items() if of == opened.model}
            total = sum(have.get(problem.id, (0, 0))[0] < samples for problem in asked)

            def specs() -> Iterator[RunSpec]:
                for ordinal, problem in enumerate(asked):
                    arrived, first = have.get(problem.id, (0, 0))
                    if arrived < samples:
                        # The seed and the number of the first sample are part of the name, so that no key is ever used twice.
                        name = f"record@{opened.seed}/{problem.id}/{first}"
                        given = {"n": samples - arrived, "every": every}
                        yield RunSpec(name, samples_of.name, problem, Budget(), given, opened.seed, ordinal)

            done = 0
            async for _, result in opened.runs(specs(), strategies=[samples_of]):
                done += 1
                if progress is not None:
                    progress(done, total, result)
    if before is not None and not total:
        _remove(file, journal)
        return Recording(target, 0, 0, before.frame.height)
    recorded = await _written(file, target, before, opened.task, asked, stated)
    _remove(file, journal)
    return recorded


def record(problems: str | Path | Problems | Iterable[Problem | str], pool: str | Path, **settings: Any) -> Recording:
    """`record_async` for code that isn't async; works inside a running event loop (a notebook) too."""
    return run_anywhere(record_async(problems, pool, **settings))


async def _written(
    journal: Path, target: Path, before: Pool | None, task: Task, asked: Iterable[Problem], stated: Mapping[str, str]
) -> Recording:
    new = target.with_name(f".{target.name}.new")
    try:
        found = await export(journal, new, task, asked, stated)
        if found.left_out:
            raise InternalError(f"{found.left_out} recorded samples were not recognised; they are in {journal}")
        added = renumbered(Pool.read(new))
    finally:
        new.unlink(missing_ok=True)
    whole = merged([added] if before is None else [before, added], target.stem)
    whole.write(target)
    counted = added.frame.select(pl.col("failed", "answer_class").count()).row(0)
    return Recording(target, added.frame.height, counted[0], whole.frame.height, counted[1])


def journal_of(pool: Path) -> Path:
    """Where a recording is kept until all of it is in the pool."""
    return pool.with_name(f"{pool.name}.journal.db")


def _remove(file: Path, named: str | Path | None) -> None:
    """Delete a journal that nobody named: all that it holds is in the pool."""
    if named is None:
        for end in ("", "-wal", "-shm", ".lock"):
            file.with_name(file.name + end).unlink(missing_ok=True)


@contextmanager
def _unless_paid(file: Path, named: str | Path | None) -> Iterator[None]:
    """Leaving by an error deletes a journal of our own making that holds nothing, so that the next command may ask otherwise."""
    fresh = not file.exists()
    try:
        yield
    except JournalLocked:  # it is another process's
        raise
    except BaseException:
        if fresh and not holds_samples(file):
            _remove(file, named)
        raise


def _before(pool: Path) -> Pool | None:
    return Pool.read(pool) if pool.exists() else None


_Held = Mapping[tuple[str, str], tuple[int, int]]


def _held(pool: Pool | None, asked: Problems) -> _Held:
    """How many samples of each problem and model arrived, and how many rows the pool holds with those that failed.

    Raises BadInput where it asks something else under an id.
    """
    if pool is None:
        return {}
    known = {problem.id: problem.text for problem in pool.problems}
    for problem in asked:
        if known.get(problem.id, problem.text) != problem.text:
            raise BadInput(
                f"holds another problem under the id {problem.id!r}; record these into a new pool", where=f"pool {pool.name}"
            )
    counts = pool.frame.group_by("problem_id", "model").agg(pl.col("failed").is_null().sum(), pl.len())
    return {(problem, model): (arrived, rows) for problem, model, arrived, rows in counts.iter_rows()}


def _digest(held: _Held) -> str:
    return hashlib.blake2b(json.dumps(sorted(held.items())).encode(), digest_size=8).hexdigest() if held else ""


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
