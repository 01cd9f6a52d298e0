"""Sample logs of EleutherAI's lm-evaluation-harness (`--log_samples`): `samples_TASK_DATE.jsonl`, one document a line.

A document appears once per answer filter. Where a task repeats its samples, the metric is of all of them together, so that
their grades are not known: give a task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput
from outthink.evaluation.importers.common import Foreign, Options, Row, grade_of, read_json, settings
from outthink.problems.readers import read as read_rows
from outthink.problems.rows import BadRow, Columns

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_tokens": "max_gen_toks", "stop": "until"}
_GRADES = ("exact_match", "acc", "pass@1", "pass_at_1")
INVALID = "[invalid]"
"""What the harness writes where a filter found no answer."""


def read(path: Path, options: Options) -> Foreign:
    """The samples of one task. The model is named by the results beside the file, or by the options."""
    model = options.model or _model(path)
    return Foreign(_rows(path, model, options.filter), f"imported from a sample log of lm-evaluation-harness, {path.name}")


def _rows(path: Path, model: str | None, wanted: str | None) -> Iterator[tuple[str, Row]]:
    chosen, met = wanted, set()
    for place, row in read_rows(path):
        if isinstance(row, BadRow):
            raise BadInput(str(row), where=place)
        responses = row.get("resps")
        if "doc_id" not in row or not isinstance(responses, list) or not responses or not isinstance(responses[0], list):
            raise BadInput("is no line of a sample log: it has no doc_id or no resps", where=place)
        texts = responses[0]
        if not all(isinstance(text, str) for text in texts):
            raise BadInput("holds log-likelihoods of choices, not samples: only generating tasks can be a pool", where=place)
        its = str(row.get("filter", "none"))
        met.add(its)
        chosen = chosen or its
        if its == chosen:
            common = _common(row, model)
            for text, own in zip(texts, _answers(row, len(texts)), strict=True):
                yield place, {**common, "text": text, **own}
    if chosen is not None and chosen not in met:
        raise BadInput(f"has no filter {chosen!r}; it has {', '.join(sorted(met))}", where=str(path))


def _common(row: Mapping[str, Any], model: str | None) -> Row:
    asked, found = _asked(row.get("arguments"))
    if found.get("do_sample") is False:
        found = {**found, "temperature": 0.0}
    document, gold = row.get("doc"), row.get("target")
    text = asked
    if isinstance(document, dict):
        try:
            problem = Columns().problem(document)
            text, gold = problem.text, problem.gold or gold
        except BadRow:
            pass  # its document is of a kind of its own: then the whole prompt is the problem
    return {"problem_id": str(row["doc_id"]), "problem": text, "gold": gold, "model": model, **settings(found, _SETTINGS)}


def _asked(arguments: Any) -> tuple[str | None, Mapping[str, Any]]:
    """The prompt and the settings of the (first) request: `{"gen_args_0": {"arg_0": ..., "arg_1": ...}}` or `[[..., ...]]`.

    A chat is kept as the text of its messages, `["[{\"role\": ..., \"content\": ...}]"]`: its last turn is what was asked.
    """
    first = next(iter(arguments.values()), None) if isinstance(arguments, dict) else arguments[0] if arguments else None
    values = [*first.values()] if isinstance(first, dict) else first if isinstance(first, list) else []
    prompt = values[0] if values else None
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = _last_turn(prompt[0])
    prompt = prompt if isinstance(prompt, str) else None
    return prompt, values[1] if len(values) > 1 and isinstance(values[1], dict) else {}


def _last_turn(chat: str) -> str:
    try:
        turns = json.loads(chat)
        return str(turns[-1]["content"])
    except (ValueError, TypeError, KeyError, IndexError):
        return chat


def _answers(row: Mapping[str, Any], count: int) -> list[Row]:
    """Answer and grade of each sample, as far as the log says them of each."""
    filtered = row.get("filtered_resps")
    while isinstance(filtered, list) and len(filtered) == 1 and isinstance(filtered[0], list):
        filtered = filtered[0]
    if not isinstance(filtered, list) or len(filtered) != count:
        return [{} for _ in range(count)]
    made: list[Row] = [{"answer": answer if isinstance(answer, str) and answer != INVALID else None} for answer in filtered]
    if count == 1:
        names = [*(name for name in _GRADES if name in row), *(row.get("metrics") or ())]
        try:
            made[0]["correct"] = grade_of(row.get(names[0])) if names else None
        except ValueError:
            made[0]["score"] = row.get(names[0])  # a metric that is no grade, such as BLEU
    return made


def _model(path: Path) -> str | None:
    for file in sorted(path.parent.glob("results_*.json"), reverse=True):
        found = read_json(file)
        name = found.get("model_name") if isinstance(found, dict) else None
        if isinstance(name, str) and name:
            return name
    return None
