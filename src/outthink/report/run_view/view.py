"""Puts one run together as plain JSON: what was spent, sampled, voted and scored, and what grew from what."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outthink.core.budget import Budget
from outthink.core.errors import BadInput, UnknownName
from outthink.core.key import Key
from outthink.core.selection import Selection
from outthink.core.strategy import Strategy
from outthink.report.run_view.reading import At, Found, Setting, read, setting
from outthink.report.run_view.replay import Step, Story, replay
from outthink.report.run_view.spending import curve, limits, offers
from outthink.report.run_view.tree import Piece, branches, depths
from outthink.runtime.rows import Row

_REDACTED = {
    "redact": "Parts of its texts were replaced by [redacted] as it was recorded.",
    "digest": "Its texts were replaced by digests as it was recorded: equal texts have equal digests, and nobody can read them.",
}
FORMAT = 1
MOST_SAMPLES = 5000
MOST_TEXT = 4000
MOST_CLASSES = 200
MOST_STEPS = 2000


def view(
    path: str | Path,
    run: str | None = None,
    *,
    most_text: int = MOST_TEXT,
    most_samples: int = MOST_SAMPLES,
    known: Mapping[str, Strategy] = {},
) -> dict[str, Any]:
    """One run of a journal as JSON, also while it is written; docs/view.md has the fields.

    run:          its name; None: the first
    most_text:    characters of one text; `length` says how many there are, and `sample_text` gives them all
    most_samples: beyond these the samples are counted only (the chosen one is always there)
    known:        strategies that the catalogue hasn't

    It replays the run's strategy on an event loop of its own: call it in a thread where one is running.
    Raises BadInput, UnknownName, JournalDamaged.
    """
    found = read(path, run)
    what = setting(found)
    story = replay(found, what, known)
    return {
        "format": FORMAT,
        "name": found.name,
        "settings": _settings(found, what),
        "problem": {"id": what.problem[0], **_clipped("text", what.problem[1], most_text)},
        **_ending(found, what, story, most_text),
        **_choice(found, story, most_text, most_samples),
        "steps": [_step(step) for step in story.steps[:MOST_STEPS]],
        "steps_in_all": len(story.steps),
        "spend": curve(found),
        "offers": offers(found, story.offers),
        "texts": _REDACTED.get(str(found.header.get("texts", "")), ""),
        "notes": [story.why_not] if story.why_not else [],
    }


def sample_text(path: str | Path, run: str | None, sample: str) -> dict[str, Any]:
    """All of one sample's text, and of the beginning that it continues. Raises UnknownName."""
    found = read(path, run)
    for at, row in found.recorded.samples.items():
        if _name(at) == sample:
            return {"id": sample, "prefix": row.prefix, "text": row.text}
    raise UnknownName("sample", sample, [])


def _settings(found: Found, what: Setting) -> dict[str, Any]:
    names = ("model", "task", "seed", "sampling", "verifiers", "roles")
    known = {name: found.header[name] for name in names if found.header.get(name) not in (None, {}, "")}
    return {"strategy": what.strategy, "parameters": dict(what.parameters), "budget": what.budget, **known}


def _ending(found: Found, what: Setting, story: Story, most_text: int) -> dict[str, Any]:
    rows = found.recorded.samples.values()
    usage = found.recorded.usage()
    cut = next((row.reason for row in rows if row.state == "refused" and row.reason), "")
    answer = found.answer
    if found.state is None and story.offers:  # not at its end: the best so far
        answer = story.offers[-1].selection.answer
    return {
        "state": found.state,
        "reason": story.reason or (cut if found.state == "budget" else found.error),
        "answer": None if answer is None else answer[:most_text],
        "usage": _numbers(usage.fields()),
        "wall_seconds": found.recorded.wall_seconds,
        "under_way": len(found.recorded.sent) if found.state is None else 0,
        "budget": limits(_budget(what), usage, found.recorded.wall_seconds),
    }


def _budget(what: Setting) -> Budget:
    try:
        return Budget() if what.budget in (None, "", "no limit") else Budget.parse(str(what.budget))
    except BadInput:
        return Budget()


def _choice(found: Found, story: Story, most_text: int, most_samples: int) -> dict[str, Any]:
    """The samples, their answer classes, and which of them was chosen."""
    selection = story.selection
    if selection is None and story.offers:
        selection = story.offers[-1].selection
    places = {step.place: order for order, step in enumerate(story.steps)}
    rows = [(at, row) for at, row in found.recorded.samples.items() if row.state != "refused"]
    rows.sort(key=lambda pair: (places.get(pair[0][:2], len(places)), pair[0]))
    chosen = _at(selection.sample.key) if selection is not None and selection.sample is not None else None
    kept = rows[:most_samples] + [pair for pair in rows[most_samples:] if pair[0] == chosen]
    answers = {_at(key): answer for key, answer in story.answers.items()}
    scores = _scores(story, rows)
    classes, order = _classes([answers.get(at) for at, _ in rows], selection, most_text)
    roles = {step.place: step for step in story.steps}
    samples = [_sample(found, at, row, roles.get(at[:2]), answers.get(at), order, scores.get(at), most_text) for at, row in kept]
    _grow(samples, [row for _, row in kept], most_text)
    numbers = [sample["score"] for sample in samples if sample["score"] is not None]
    return {
        "confidence": _number(selection.confidence) if selection is not None else None,
        "tie": selection is not None and selection.tie,
        "submissions": list(selection.submissions)[:100] if selection is not None else [],
        "chosen": None if chosen is None else _name(chosen),
        "classes": classes[:MOST_CLASSES],
        "classes_in_all": len(classes),
        "invalid": sum(answer is not None and answer[1] is None for answer in (answers.get(at) for at, _ in rows)),
        "samples": samples,
        "samples_in_all": len(rows),
        "scores": [min(numbers), max(numbers)] if numbers else None,
    }


def _scores(story: Story, rows: Sequence[tuple[At, Row]]) -> dict[At, list[tuple[Any, str, float | None]]]:
    """Scores by sample. Equal texts are scored once: the others have the score of the one that was."""
    found = {_at(key): given for key, given in story.scores.items()}
    by_text = {row.prefix + row.text: found[at] for at, row in rows if at in found}
    return {at: given for at, row in rows if (given := found.get(at) or by_text.get(row.prefix + row.text)) is not None}


def _classes(
    answers: Sequence[tuple[str | None, str | None] | None], selection: Selection | None, most_text: int
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The answer classes, the chosen one first, then by weight and number of samples; and the place of each."""
    counts = Counter(answer[1] for answer in answers if answer is not None and answer[1] is not None)
    votes: Mapping[str, float] = selection.votes if selection is not None else {}
    chosen = selection.answer_class if selection is not None else None
    names = sorted(
        dict.fromkeys([*votes, *counts]), key=lambda name: (name != chosen, -(votes.get(name) or 0.0), -counts[name], name)
    )
    found = [
        {
            **_clipped("text", name, min(most_text, 500)),
            "samples": counts[name],
            "weight": _number(votes.get(name)),
            "chosen": name == chosen,
        }
        for name in names
    ]
    return found, {name: place for place, name in enumerate(names)}


def _sample(
    found: Found,
    at: At,
    row: Row,
    step: Step | None,
    answer: tuple[str | None, str | None] | None,
    order: Mapping[str, int],
    scores: Sequence[tuple[Any, str, float | None]] | None,
    most_text: int,
) -> dict[str, Any]:
    inside = any(part < 0 for part in at[0])  # a verifier's own call
    return {
        "id": _name(at),
        "state": row.state,
        "role": step.role if step is not None else "verifier" if inside else "",
        "inside": inside,
        **_clipped("text", row.text, most_text),
        "finish": row.finish,
        "reason": row.reason[:most_text],
        "tokens": row.tokens,
        "usage": _numbers({name: value for name, value in row.usage.fields().items() if value}),
        "arrived": found.arrived.get(at),
        "answer": None if answer is None or answer[0] is None else answer[0][:500],
        "class": None if answer is None or answer[1] is None else order.get(answer[1]),
        "extracted": answer is not None,
        "score": _number(scores[-1][2]) if scores else None,
        "scored": len(scores or ()),
        "all_scores": [[role, _number(score)] for _, role, score in scores[-20:]] if scores and len(scores) > 1 else [],
        "summary": _numbers(row.summary),
        "message": _message(row, most_text),
        "parent": None,
        "at": 0,
        "given": "",
        "depth": 0,
    }


def _message(row: Row, most_text: int) -> str:
    """What the model's message held besides its text, such as tool calls, as JSON; "" for nothing."""
    message = row.meta.get("message")
    found = (
        {name: value for name, value in message.items() if value and name not in ("role", "content")}
        if isinstance(message, dict)
        else {}
    )
    return json.dumps(found, ensure_ascii=False, indent=1)[:most_text] if found else ""


def _grow(samples: list[dict[str, Any]], rows: Sequence[Row], most_text: int) -> None:
    """Enter what grows from what, among the samples of the run itself that arrived."""
    own = [place for place, row in enumerate(rows) if row.state == "ok" and not samples[place]["inside"]]
    found = branches([Piece(rows[place].prefix, rows[place].text) for place in own])
    for place, branch, depth in zip(own, found, depths(found), strict=True):
        parent = None if branch.parent is None else own[branch.parent]
        samples[place] |= {"parent": parent, "at": branch.at, "depth": depth, "given": branch.given[:most_text]}


def _step(step: Step) -> dict[str, Any]:
    outcome = step.outcome
    shown: dict[str, Any] = {"place": _place(step.place), "kind": step.kind, "role": step.role, "n": step.n, "done": step.done}
    if step.kind == "invoke":
        shown["method"] = step.method
    if isinstance(outcome, list):
        shown["values"] = len(outcome)
    return shown


def _at(key: Key) -> At:
    return key.path, key.seq, key.index


def _name(at: At) -> str:
    return f"{_place(at[:2])}#{at[2]}"


def _place(place: tuple[tuple[int, ...], int]) -> str:
    return ".".join(map(str, (*place[0], place[1])))


def _clipped(name: str, text: str, most: int) -> dict[str, Any]:
    return {name: text[:most], "length": len(text)}


def _number(value: object) -> float | None:
    """A number that JSON can hold, or None."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else _number(value) for name, value in values.items()}
