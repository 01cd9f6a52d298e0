"""Logs of inspect_ai: `.json`, and `.eval`, a zip of a header and one JSON file per sample and epoch."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.core.logprobs import Logprobs
from outthink.evaluation.importers.common import Foreign, Options, Row, grade_of, read_json, settings
from outthink.evaluation.schema import SUMMARY

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "max_tokens": "max_tokens", "stop": "stop_seqs"}
ZSTANDARD = 93
"""How a zip calls this compression."""
LARGEST = 256 * 1024**2
"""Bytes of one file in a zip, unpacked: more is refused, for a small zip can hold terabytes."""


def read(path: Path, options: Options) -> Foreign:
    """The samples of one evaluation; each epoch of a sample, and each choice of an epoch, is a sample of its problem."""
    header, samples = _zipped(path) if zipfile.is_zipfile(path) else _plain(path)
    about = header.get("eval") if isinstance(header, dict) else None
    if not isinstance(about, dict):
        raise BadInput("is no log of inspect_ai: it has no `eval`", where=str(path))
    common = {"model": options.model or about.get("model"), **settings(about.get("model_generate_config") or {}, _SETTINGS)}
    provenance = f"imported from a log of inspect_ai, task {about.get('task')}, {about.get('created', 'without a date')}"
    return Foreign(_rows(path, samples, common, options.scorer), provenance)


def _plain(path: Path) -> tuple[Any, Iterator[tuple[str, Any]]]:
    found = read_json(path)
    samples = found.get("samples") or [] if isinstance(found, dict) else []
    return found, ((f"{path}: sample {number}", sample) for number, sample in enumerate(samples, 1))


def _zipped(path: Path) -> tuple[Any, Iterator[tuple[str, Any]]]:
    names = [each for each in zipfile.ZipFile(path).namelist() if each.startswith("samples/") and each.endswith(".json")]
    header = "header.json" if "header.json" in zipfile.ZipFile(path).namelist() else "_journal/start.json"
    return _member(path, header), ((f"{path}: {name}", _member(path, name)) for name in names)


def _member(path: Path, name: str) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(name)
            data = _zstandard(path, entry) if entry.compress_type == ZSTANDARD else archive.open(entry).read(LARGEST + 1)
        if len(data) > LARGEST:
            raise BadInput(f"is larger than {LARGEST // 1024**2} MiB", where=f"{path}: {name}")
        return json.loads(data)
    except (KeyError, NotImplementedError, OSError, ValueError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"can't be read: {error}", where=f"{path}: {name}") from None


def _zstandard(path: Path, entry: zipfile.ZipInfo) -> bytes:
    """A member as inspect_ai compresses it, which `zipfile` doesn't know before Python 3.14."""
    try:
        import zstandard
    except ImportError:
        raise MissingExtra("reading .eval logs", "evaluate") from None
    with path.open("rb") as file:
        file.seek(entry.header_offset + 26)
        file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
        packed = file.read(entry.compress_size)
    try:
        return zstandard.ZstdDecompressor().stream_reader(packed).read(LARGEST + 1)
    except (struct.error, zstandard.ZstdError) as error:
        raise BadInput(f"is damaged: {error}", where=f"{path}: {entry.filename}") from None


def _rows(path: Path, samples: Iterator[tuple[str, Any]], common: Row, scorer: str | None) -> Iterator[tuple[str, Row]]:
    for place, sample in samples:
        try:
            made = _of_sample(sample, scorer)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"is no sample of a log: {type(error).__name__} {error}", where=place) from None
        for row in made:
            yield place, {**common, **row}


def _of_sample(sample: Mapping[str, Any], scorer: str | None) -> list[Row]:
    target, asked, output = sample.get("target"), sample["input"], sample.get("output") or {}
    if isinstance(asked, list):
        asked = next((_text(each["content"]) for each in reversed(asked) if each["role"] == "user"), None)
    its: Row = {
        "problem_id": str(sample["id"]), "problem": asked,
        "gold": (target[0] if isinstance(target, list) and target else target) or None,
        "options": sample.get("choices"), "seconds": output.get("time"),
    }  # fmt: skip
    choices = output.get("choices") or []
    if sample.get("error") is not None or not choices:
        return [{**its, "failed": str((sample.get("error") or {}).get("message") or output.get("error") or "no output")[:500]}]
    used = output.get("usage") or {}
    if len(choices) == 1:
        its |= {
            "completion_tokens": used.get("output_tokens"),
            "prompt_tokens": used.get("input_tokens"),
            **_graded(sample, scorer),
        }
    return [
        {
            **its,
            "text": _text(choice["message"]["content"]),
            "finish": choice.get("stop_reason"),
            **_logprobs(choice.get("logprobs")),
        }
        for choice in choices
    ]


def _graded(sample: Mapping[str, Any], scorer: str | None) -> Row:
    scores = sample.get("scores") or {}
    if scorer is not None and scores and scorer not in scores:
        raise ValueError(f"there is no scorer {scorer!r}; there are {', '.join(scores)}")
    found = scores.get(scorer) if scorer is not None else next(iter(scores.values()), None)
    if not found:
        return {}
    value, answer = found.get("value"), found.get("answer") or None
    try:
        return {"answer": answer, "correct": grade_of(value)}
    except ValueError:
        return {"answer": answer, **({"score": value} if isinstance(value, (int, float)) else {})}


def _text(content: Any) -> str:
    """The text of a message, with any reasoning before it."""
    if isinstance(content, str):
        return content
    parts = [part.get("reasoning") or part.get("text") for part in content if part.get("type") in ("reasoning", "text")]
    return "\n".join(part for part in parts if part)


def _logprobs(found: Any) -> Row:
    if not isinstance(found, dict) or not found.get("content"):
        return {}
    chosen = [token["logprob"] for token in found["content"]]
    tops = [[each["logprob"] for each in token.get("top_logprobs") or ()] for token in found["content"]]
    k = min(map(len, tops))
    arrays = Logprobs(array("d", chosen), array("d", [value for top in tops for value in sorted(top, reverse=True)[:k]]), k)
    summary = {name: value for name, value in arrays.summary().items() if name in SUMMARY}
    return {"token_logprobs": chosen, "top_logprobs": arrays.top.tolist() if k else None, **summary}
