"""From a journal to a pool: the samples that answered the task's own prompt, with their answers, grades and scores.

So do those that continue a given prefix (a thought that was skipped, the steps of a tree), were drawn at temperatures of
their own, or ended at a step. A sample of anything else (a verifier's reply, a refined draft) answers no other run's question
and is left out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from outthink.backends.openai.decode import logprobs_of
from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.operation import EventKind
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.core.task import Task
from outthink.evaluation.pool import ALTERNATIVES, VERIFIER, VOCABULARY, WINDOW
from outthink.evaluation.schema import SUMMARY
from outthink.evaluation.write import PoolWriter
from outthink.runtime.recorded import read_header, read_operations, read_outcomes, read_rows
from outthink.runtime.rows import Row

AT_ONCE = 256
"""Rows whose answers are extracted together."""


@dataclass(slots=True)
class Exported:
    """How many samples went into the pool, and how many answered something else than the task's own prompt."""

    written: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Asked:
    """What is known of one problem's samples so far.

    task:   tells and grades its answers
    prompt: the digest of what was asked
    scores: of what was said, by (prefix, text): a text that came twice is scored once
    """

    problem: Problem
    task: Task
    prompt: str
    scores: dict[tuple[str, str], float] = field(default_factory=dict)
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
    asked = {problem.id: Asked(problem, task, task.prompt(problem.without_gold()).digest()) for problem in problems}
    found = Exported()
    stated = {"provenance": f"recorded with {header['model']}", "task": task.name, **(metadata or {})}
    if scored := header.get("verifiers", {}).get("verifier"):
        stated[VERIFIER] = scored
    with PoolWriter(pool, stated) as writer:
        async for line in lines(journal, asked, found, writer.metadata):
            writer.add({"model": header["model"], **line})
    found.written = writer.written
    return found


async def lines(
    journal: str | Path, asked: Mapping[str, Asked], found: Exported, metadata: MutableMapping[str, str]
) -> AsyncIterator[dict[str, Any]]:
    """Pool rows of a journal's samples, all but who answered.

    asked:    by problem, or by run where a run is named by something else
    found:    counts what is left out
    metadata: gets what a pool says of its summaries
    """
    operations, partials = _Operations(journal), _partials(journal)
    _keep_scores(journal, asked)
    rows = _with_prompts(read_rows(journal))
    while batch := list(islice(rows, AT_ONCE)):
        chosen = []
        for run, row in batch:
            its = _its(run, asked, journal)
            sampling = operations.settings(row, its.prompt)
            # A sample that was left is no whole one, and would be drawn as if it were.
            if sampling is None or row.finish == Finish.CANCELLED:
                found.left_out += 1
                continue
            chosen.append((its, run, row, sampling))
            metadata.update(operations.behind_summaries(row))
        for line in await _lines(chosen, partials):
            yield line


_Chosen = tuple[Asked, str, Row, dict[str, Any]]


async def _lines(chosen: list[_Chosen], partials: Mapping[str, list[tuple[int, int]]]) -> list[dict[str, Any]]:
    """Pool rows of these samples, with answers and grades."""
    groups: dict[str, list[_Chosen]] = {}
    for each in chosen:
        groups.setdefault(each[0].problem.id, []).append(each)
    made = []
    for group in groups.values():
        its, rows = group[0][0], [row for _, _, row, _ in group]
        answers = await its.task.answers(its.problem, [row.prefix + row.text for row in rows], its.classes)
        met = [answer.answer_class for answer in answers if answer.answer_class is not None]
        its.classes += dict.fromkeys(name for name in met if name not in its.classes)
        grades: list[bool | None] = [None] * len(rows)
        if its.problem.gold is not None:
            grades = [*await its.task.grade(its.problem, [answer.text if answer.valid else None for answer in answers])]
        for (_, run, row, sampling), answer, right in zip(group, answers, grades, strict=True):
            line = _line(its, run, row) | {"temperature": sampling["temperature"], "sampling": json.dumps(sampling)}
            if row.state == "ok":
                line |= {"text": row.text, "correct": right, "finish": row.finish, **_arrays(row)}
                line["score"] = its.scores.get((row.prefix, row.text))
                if marks := partials.get(str(Key(run, row.path, row.seq))):
                    # A partial sample that a lost attempt left behind is none of this text's.
                    known = [(end, tokens) for end, tokens in marks if end <= len(row.text) and tokens <= (row.tokens or 0)]
                    line |= {"prefix_ends": [end for end, _ in known], "prefix_tokens": [tokens for _, tokens in known]}
                line |= {"answer": answer.text, "answer_class": answer.answer_class} if answer.valid else {}
            made.append(line)
    return made


def _line(its: Asked, run: str, row: Row) -> dict[str, Any]:
    # Operations on one problem follow each other in numbers, whatever the order in which their samples arrived.
    number = its.operations.setdefault((run, row.path, row.seq), len(its.operations))
    # A sample that was asked for again took what its last attempt says; what was lost before it is no part of it.
    used, arrived = row.usage, row.state == "ok"
    asked = (arrived and used.prompt_tokens > 0) or not used.unknown_prompt_tokens
    said = row.tokens if arrived else None if used.unknown_completion_tokens else used.completion_tokens
    return {
        "problem_id": its.problem.id, "problem": its.problem.text, "gold": its.problem.gold,
        "language": language if isinstance(language := its.problem.meta.get("language"), str) else None,
        "sample_index": (number << 16) + row.index, "key": str(Key(run, row.path, row.seq, row.index)), "prompt": its.prompt,
        "prefix": row.prefix or None,
        "prompt_tokens": used.prompt_tokens if asked else None,
        "cached_tokens": used.cached_tokens if asked else 0,
        "completion_tokens": said,
        "seconds": used.seconds, "failed": (row.reason or "it never arrived") if row.state == "failed" else None,
        **{name: row.summary[name] for name in SUMMARY if name in row.summary},
    }  # fmt: skip


def _arrays(row: Row) -> dict[str, Any]:
    """Log-probabilities of each token: those that were kept, or else those that a gateway's client asked for, as they came."""
    kept = row.logprobs
    if kept is None and (kept := logprobs_of(row.meta.get("logprobs"), 0)) is not None:
        return {"token_logprobs": kept.chosen.tolist(), **kept.summary()}
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


class _Operations:
    """What the journal's samples were asked for; looked up again where it has grown."""

    def __init__(self, journal: str | Path) -> None:
        self._journal = journal
        self._known: dict[str, dict[str, Any]] = {}

    def settings(self, row: Row, prompt: str) -> dict[str, Any] | None:
        """All settings of a sample; None where it answered another prompt, or another role gave it."""
        its = self._of(row.digest)
        if its is None or its["role"] != "generator":
            return None
        prompts, temperatures = its["prompts"], its["temperatures"]
        if prompts[row.index if len(prompts) > 1 else 0] != prompt:
            return None
        own = temperatures[min(row.index, len(temperatures) - 1)] if temperatures else None
        found = its["sampling"] if own is None else {**its["sampling"], "temperature": own}
        # A budget may have granted less than was asked for.
        return {**found, "max_tokens": row.max_tokens} if row.finish == Finish.LENGTH and row.max_tokens else found

    def behind_summaries(self, row: Row) -> dict[str, str]:
        """What a pool says of how its log-probabilities were summarised."""
        top, _, *window = (self._of(row.digest) or {}).get("logprobs") or (None, False)
        stated = {ALTERNATIVES: top, WINDOW: next(iter(window), None), VOCABULARY: row.logprobs and row.logprobs.vocabulary}
        return {name: str(value) for name, value in stated.items() if value is not None and (value or name == ALTERNATIVES)}

    def _of(self, digest: str) -> dict[str, Any] | None:
        if digest not in self._known:
            self._known.update(read_operations(self._journal))
        return self._known.get(digest)


def _keep_scores(journal: str | Path, asked: Mapping[str, Asked]) -> None:
    """Find what the verifier said of each text."""
    scores: dict[str, float] = {}
    for _, _, _, value in read_outcomes(journal, "score"):
        if value["role"] == "verifier":
            said = zip(value["samples"], value["scores"], strict=True)
            scores.update((key, score) for key, score in said if score is not None)
    for run, row in read_rows(journal) if scores else ():
        score = scores.get(str(Key(run, row.path, row.seq, row.index)))
        if score is not None:
            _its(run, asked, journal).scores.setdefault((row.prefix, row.text), score)


def _its(run: str, asked: Mapping[str, Asked], journal: str | Path) -> Asked:
    found = asked.get(_problem_of(run, asked))
    if found is None:
        raise BadInput(f"holds run {run!r}, whose problem isn't among those given", where=f"journal {journal}")
    return found


def _problem_of(run: str, known: Mapping[str, Any]) -> str:
    """A run is named by its problem, or strategy/problem/replicate; a problem's id may hold slashes itself."""
    return run if run in known else run.partition("/")[2].rpartition("/")[0]
