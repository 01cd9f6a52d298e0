"""From a journal to a pool: the samples that answered the task's own prompt, with their answers and grades.

A sample of anything else (a verifier's reply, a refined draft, a continuation) answers no other run's question and is left
out. What an operation was is proved by the digest that the journal keeps of it, not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

from outthink.backends.pool import prompt_digest
from outthink.core.errors import BadInput, JournalDamaged
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed
from outthink.core.operation import EventKind, Generate
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.core.task import Task
from outthink.evaluation.pool import ALTERNATIVES, VOCABULARY
from outthink.evaluation.schema import SUMMARY
from outthink.evaluation.write import PoolWriter
from outthink.runtime.recorded import read_header, read_outcomes, read_rows
from outthink.runtime.rows import Row

AT_ONCE = 256
"""Rows whose answers are extracted together."""

_TOPS = range(21)
_NEEDS = (None, *(LogprobNeed(top, keep) for top, keep in product(_TOPS, (False, True))))


@dataclass(slots=True)
class Exported:
    """How many samples went into the pool, and how many answered something else than the task's own prompt."""

    written: int = 0
    left_out: int = 0


@dataclass(slots=True)
class _Asked:
    """What is known of one problem's samples so far."""

    problem: Problem
    prompt: str
    digests: Mapping[str, LogprobNeed | None]
    classes: list[str] = field(default_factory=list)
    operations: dict[tuple[str, tuple[int, ...], int], int] = field(default_factory=dict)


async def export(
    journal: str | Path, pool: str | Path, task: Task, problems: Iterable[Problem], metadata: Mapping[str, str] | None = None
) -> Exported:
    """Write a pool of a journal's samples; the journal may still be growing.

    task, problems: those of the journal
    metadata:       such as {"provenance": ..., "licence": ...}

    Raises BadInput where the journal is another task's, or a run's problem isn't among `problems`.
    """
    header = read_header(journal)
    if header.get("task") != task.name:
        raise BadInput(f"was made with task {header.get('task')!r}, not {task.name!r}", where=f"journal {journal}")
    settings = _settings(header, journal)
    counts = [*dict.fromkeys([None, 1, *_counts(header)])]
    asked = {problem.id: _asked(problem, task, settings, counts) for problem in problems}
    common = {"model": header["model"], "temperature": settings.temperature, "sampling": json.dumps(settings.fields())}
    found, rows, partials = Exported(), _with_prompts(read_rows(journal)), _partials(journal)
    with PoolWriter(pool, {"provenance": f"recorded with {header['model']}", "task": task.name, **(metadata or {})}) as writer:
        while batch := list(islice(rows, AT_ONCE)):
            chosen = []
            for run, row in batch:
                its = asked.get(_problem_of(run, asked))
                if its is None:
                    raise BadInput(f"holds run {run!r}, whose problem isn't among those given", where=f"journal {journal}")
                # A sample that was left is no whole one, and would be drawn as if it were.
                if row.digest in its.digests and not row.prefix and row.finish != Finish.CANCELLED:
                    need = its.digests[row.digest]
                    writer.metadata.update({} if need is None else {ALTERNATIVES: str(need.top)})
                    if row.logprobs is not None and row.logprobs.vocabulary:
                        writer.metadata[VOCABULARY] = str(row.logprobs.vocabulary)
                    chosen.append((its, run, row))
                else:
                    found.left_out += 1
            for line in await _lines(task, chosen, partials):
                writer.add({**common, **line})
    found.written = writer.written
    return found


async def _lines(
    task: Task, chosen: list[tuple[_Asked, str, Row]], partials: Mapping[str, list[tuple[int, int]]]
) -> list[dict[str, Any]]:
    """Pool rows of these samples, with answers and grades."""
    groups: dict[str, list[tuple[_Asked, str, Row]]] = {}
    for each in chosen:
        groups.setdefault(each[0].problem.id, []).append(each)
    made = []
    for group in groups.values():
        its, rows = group[0][0], [row for _, _, row in group]
        answers = await task.answers(its.problem, [row.text for row in rows], its.classes)
        met = [answer.answer_class for answer in answers if answer.answer_class is not None]
        its.classes = list(dict.fromkeys([*its.classes, *met]))
        grades: list[bool | None] = [None] * len(rows)
        if its.problem.gold is not None:
            grades = [*await task.grade(its.problem, [answer.text if answer.valid else None for answer in answers])]
        for (_, run, row), answer, right in zip(group, answers, grades, strict=True):
            line = _line(its, run, row)
            if row.state == "ok":
                line |= {"text": row.text, "correct": right, "finish": row.finish, **_arrays(row)}
                if marks := partials.get(str(Key(run, row.path, row.seq))):
                    # A partial sample that a lost attempt left behind is none of this text's.
                    known = [(end, tokens) for end, tokens in marks if end <= len(row.text) and tokens <= (row.tokens or 0)]
                    line |= {"prefix_ends": [end for end, _ in known], "prefix_tokens": [tokens for _, tokens in known]}
                line |= {"answer": answer.text, "answer_class": answer.answer_class} if answer.valid else {}
            made.append(line)
    return made


def _line(its: _Asked, run: str, row: Row) -> dict[str, Any]:
    # Operations on one problem follow each other in numbers, whatever the order in which their samples arrived.
    number = its.operations.setdefault((run, row.path, row.seq), len(its.operations))
    used = row.usage
    return {
        "problem_id": its.problem.id, "problem": its.problem.text, "gold": its.problem.gold,
        "language": language if isinstance(language := its.problem.meta.get("language"), str) else None,
        "sample_index": (number << 16) + row.index, "key": str(Key(run, row.path, row.seq, row.index)), "prompt": its.prompt,
        "prompt_tokens": None if used.unknown_prompt_tokens else used.prompt_tokens,
        "cached_tokens": 0 if used.unknown_prompt_tokens else used.cached_tokens,
        "completion_tokens": None if used.unknown_completion_tokens else used.completion_tokens,
        "seconds": used.seconds, "failed": (row.reason or "it never arrived") if row.state == "failed" else None,
        **{name: row.summary[name] for name in SUMMARY if name in row.summary},
    }  # fmt: skip


def _arrays(row: Row) -> dict[str, Any]:
    kept = row.logprobs
    return {} if kept is None else {"token_logprobs": kept.chosen.tolist(), "top_logprobs": kept.top.tolist() if kept.k else None}


def _partials(journal: str | Path) -> dict[str, list[tuple[int, int]]]:
    """(characters, tokens) of the partial samples that were delivered of each stream, in order; those of a repeated attempt
    begin again."""
    found: dict[str, list[tuple[int, int]]] = {}
    for _, _, _, value in read_outcomes(journal, "event"):
        if value["kind"] == EventKind.PARTIAL:
            marks = found.setdefault(value["handle"], [])
            while marks and marks[-1][1] >= value["tokens"]:
                marks.pop()
            marks.append((len(value["text"]), value["tokens"]))
    return found


def _with_prompts(rows: Iterator[tuple[str, Row]]) -> Iterator[tuple[str, Row]]:
    """Samples of one request follow each other, and the first carries its prompt, call and time; alone, each would have asked
    for the same prompt, already computed. So the others get it as cached tokens."""
    leader: tuple[str, Row] | None = None
    for run, row in rows:
        if row.state == "refused":
            continue
        if row.usage.calls or leader is None or leader[0] != run or (leader[1].path, leader[1].seq) != (row.path, row.seq):
            leader = run, row
            if row.state != "paid":
                yield run, row
            continue
        if row.state == "paid":  # no sample: it was asked for again, or left with nothing
            continue
        first = leader[1].usage
        usage = row.usage._replace(prompt_tokens=first.prompt_tokens, cached_tokens=first.prompt_tokens, seconds=first.seconds)
        yield run, replace(row, usage=usage)


def _asked(problem: Problem, task: Task, settings: Sampling, counts: list[int | None]) -> _Asked:
    prompt = task.prompt(problem.without_gold())
    digests = {Generate(Key(""), (prompt,), n, settings, 1, need).digest(): need for n, need in product(counts, _NEEDS)}
    return _Asked(problem, prompt_digest(prompt), digests)


def _settings(header: Mapping[str, Any], journal: str | Path) -> Sampling:
    try:
        fields = dict(header["sampling"]["generator"])
        return Sampling(**{**fields, "stop": tuple(fields["stop"])})
    except (KeyError, TypeError, ValueError):
        raise JournalDamaged(f"{journal} doesn't say how its samples were drawn") from None


def _counts(header: Mapping[str, Any]) -> list[int]:
    """How many samples its strategies may have asked for at once, by their parameters."""
    parameters = [header.get("parameters") or {}, *(header.get("strategies") or {}).values()]
    return [*header.get("counts", ()), *(each["n"] for each in parameters if isinstance(each.get("n"), int))]


def _problem_of(run: str, known: Mapping[str, Any]) -> str:
    """A run is named by its problem, or strategy/problem/replicate; a problem's id may hold slashes itself."""
    return run if run in known else run.partition("/")[2].rpartition("/")[0]
