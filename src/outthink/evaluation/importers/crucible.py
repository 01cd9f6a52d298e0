"""Recordings of crucible-ttc: its best-of-n fixtures (texts with grades and verifier scores) and its cassettes (whole traces)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput
from outthink.evaluation.importers.common import Foreign, Options, Row, read_json, settings

_SETTINGS = {"temperature": "temperature", "max_tokens": "max_tokens"}


def read(path: Path, options: Options) -> Foreign:
    """The whole samples of a recording; single search steps and verifier calls answer no other question and are refused."""
    found = read_json(path)
    records = found.get("records") if isinstance(found, dict) else None
    if not isinstance(records, list) or not records:
        raise BadInput("holds no whole samples, only steps of a search or calls of a verifier", where=str(path))
    about = found.get("meta") or {**found, **(found.get("sampling") or {})}
    common = {"model": options.model or about.get("model") or about.get("policy"), **settings(about, _SETTINGS)}
    scorer = {"verifier": str(about["prm"])} if about.get("prm") else {}
    return Foreign(_rows(path, records, common), f"imported from a recording of crucible-ttc, {path.name}", scorer)


def _rows(path: Path, records: list[Any], common: Row) -> Iterator[tuple[str, Row]]:
    for number, record in enumerate(records, 1):
        place = f"{path}: record {number}"
        try:
            problem = record.get("problem") or {"id": record["problem_id"], "answer": record.get("gold")}
            its = {**common, "problem_id": problem["id"], "problem": problem.get("prompt"), "gold": problem.get("answer")}
            traces = [_sample(trace) for trace in record["traces"]]
        except (AttributeError, KeyError, TypeError) as error:
            raise BadInput(f"is no record of samples: {type(error).__name__} {error}", where=place) from None
        for trace in traces:
            yield place, {**its, **trace}


def _sample(trace: Mapping[str, Any]) -> Row:
    if "steps" not in trace:
        return {
            "text": trace["text"], "completion_tokens": trace.get("tokens"), "correct": trace.get("correct"),
            "score": trace.get("prm_score"),
        }  # fmt: skip
    # Counts of tokens of steps are of a split by spaces and don't add up to the engine's: no prefixes are made of them.
    used = trace.get("compute") or {}
    return {
        "text": "\n\n".join(step["text"] for step in trace["steps"]),
        "completion_tokens": used.get("policy_gen_tokens"),
        "seconds": used.get("wall_seconds"),
    }
