"""Pools: tables of recorded samples in memory, read from Parquet. Writing them is `outthink.evaluation.write`'s, replaying
them `outthink.backends.pool`'s, and what makes a row valid `outthink.evaluation.schema`'s.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from outthink.backends.played import RecordedSample
from outthink.backends.pool import PoolBackend
from outthink.core.budget import Prices
from outthink.core.errors import BadInput, PoolMiss, UnknownName
from outthink.core.logprobs import Logprobs
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.core.shown import Shown, Shows
from outthink.evaluation.description import described, facts, require_stated
from outthink.evaluation.schema import SCHEMA, SUMMARY, shaped, unique, validate
from outthink.evaluation.write import GROUP, replacing

ALTERNATIVES = "alternatives"
"""Metadata: log-probabilities per token that the summaries were made of."""
WINDOW = "window"
"""Metadata: tokens of the groups whose confidences are recorded."""
VOCABULARY = "vocabulary"
"""Metadata: the size of the model's vocabulary."""
VERIFIER = "verifier"
"""Metadata: the name of the verifier that gave the scores, with its parameters."""


@dataclass(frozen=True, eq=False)
class Pool(Shows):
    """Recorded samples of many problems.

    frame:    one row per sample, with the columns of `outthink.evaluation.schema.SCHEMA`
    metadata: where it comes from ("provenance", "licence") and how it was recorded
    name:     for messages
    """

    frame: pl.DataFrame
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str = "pool"

    @classmethod
    def read(cls, path: str | Path, *, columns: Mapping[str, str | None] | None = None, texts: bool = True) -> Pool:
        """A pool from a Parquet file.

        columns: for columns that are called otherwise there: our name to theirs, None to leave it out (see `RECORDED_POOLS`)
        texts:   False leaves the texts of the samples out, which are most of the memory

        Raises BadInput for what is no Parquet file or no valid pool, naming row and column.
        """
        path, where = Path(path), f"pool {path}"
        if not path.is_file():
            raise BadInput("there is no such file", where=where)
        mapped = {**(columns or {}), **({} if texts else {"text": None})}
        wanted = {mapped.get(name, name) for name in SCHEMA}
        try:
            metadata, there = pl.read_parquet_metadata(path), pl.read_parquet_schema(path)
            # Nothing else is read; where none of them is there, `shaped` says what is.
            found = [name for name in there if name in wanted]
            frame = pl.read_parquet(path, columns=found or None, memory_map=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise BadInput(f"is no readable Parquet file: {str(error).splitlines()[0]}", where=where) from None
        frame = shaped(frame, mapped, where)
        validate(frame, where)
        unique(frame, where)
        ours = {name: value for name, value in metadata.items() if not name.startswith(("ARROW:", "pandas"))}
        for name in (ALTERNATIVES, WINDOW, VOCABULARY):
            if not ((stated := ours.get(name, "0")).isdecimal() and len(stated) < 10):
                raise BadInput(f"its metadata say that {name} is {stated[:60]!r}, and it must be a whole number", where=where)
        return cls(frame, ours, path.stem)

    def write(self, path: str | Path) -> None:
        """Write it to a Parquet file, which appears, or replaces an older one, when all of it is there.

        Raises BadInput where it doesn't state its provenance and licence, is not valid, or can't be written.
        """
        path, where = Path(path), f"pool {path}"
        require_stated(self.metadata, where)
        validate(self.frame, where)
        unique(self.frame, where)
        with replacing(path, where) as part:
            self.frame.write_parquet(part, row_group_size=GROUP, metadata=dict(self.metadata))

    def export(self, path: str | Path, columns: Sequence[str] | None = None) -> None:
        """Write it as JSON Lines or CSV (by the name's ending), one sample a line; what holds nothing is left out.

        Raises UnknownName for a column, BadInput for another ending, a file that can't be written, or lists in CSV.
        """
        path, where = Path(path), f"export {path}"
        if path.suffix not in (".jsonl", ".csv"):
            raise BadInput("its name must end in .jsonl or .csv", where=where)
        for name in columns or ():
            if name not in SCHEMA:
                raise UnknownName("column of a pool", name, SCHEMA)
        frame = self.frame.select(columns or [name for name in SCHEMA if self.frame[name].null_count() < self.frame.height])
        lists = [name for name in frame.columns if frame.schema[name].is_nested()]
        if path.suffix == ".csv" and lists:
            raise BadInput(f"CSV holds no lists such as {lists[0]}; choose --columns, or write .jsonl", where=where)
        with replacing(path, where) as part:
            frame.write_ndjson(part) if path.suffix == ".jsonl" else frame.write_csv(part)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that were recorded, by name."""
        return tuple(sorted(self.frame["model"].unique()))

    def of(self, model: str) -> Pool:
        """The samples of one model. Raises BadInput for one that was not recorded."""
        if model not in self.models:
            raise BadInput(f"holds no model {model!r}; it holds {', '.join(self.models)}", where=f"pool {self.name}")
        return Pool(self.frame.filter(pl.col("model") == model), self.metadata, self.name)

    def one_model(self) -> str:
        """The only model. Raises BadInput where there are several."""
        if not self.models:
            raise BadInput("holds no samples", where=f"pool {self.name}")
        if len(self.models) != 1:
            raise BadInput(f"holds {len(self.models)} models ({', '.join(self.models)}); choose one", where=f"pool {self.name}")
        return self.models[0]

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """The problems in order of their first row."""
        first = self.frame.group_by("problem_id", maintain_order=True).agg(
            pl.col("problem").drop_nulls().first(), pl.col("gold").drop_nulls().first()
        )
        return tuple(
            Problem(text or f"(the text of problem {name} was not recorded)", id=name, gold=gold)
            for name, text, gold in first.iter_rows()
        )

    @cached_property
    def _groups(self) -> dict[str, pl.DataFrame]:
        ordered = self.frame.sort("sample_index", maintain_order=True)
        return {str(key[0]): group for key, group in ordered.partition_by("problem_id", as_dict=True).items()}

    def rows(self, problem: str) -> pl.DataFrame:
        """One problem's rows by sample index. Raises PoolMiss for a problem that isn't there."""
        found = self._groups.get(problem)
        if found is None:
            raise PoolMiss(f"pool {self.name} holds no problem {problem!r}")
        return found

    @cached_property
    def _samples(self) -> dict[str, tuple[RecordedSample, ...]]:
        return {}

    def samples(self, problem: str) -> Sequence[RecordedSample]:
        """One problem's samples by sample index, as they are replayed; none for a problem that isn't there.

        A sample whose text was not kept is replayed with its answer as its text.
        """
        if problem not in self._groups:
            return ()
        if problem not in self._samples:
            sizes = int(self.metadata.get(VOCABULARY, 0)), int(self.metadata.get(WINDOW, 0))
            self._samples[problem] = tuple(_recorded(row, *sizes) for row in self._groups[problem].iter_rows(named=True))
        return self._samples[problem]

    def backend(self, *, seed: int = 0, sleep: bool = False, prices: Prices | None = None) -> PoolBackend:
        """A backend that replays this pool. Raises BadInput where it holds several models."""
        model = self.one_model()
        has = {name for name in SUMMARY if self.frame[name].null_count() < self.frame.height}
        # Where nothing says how many alternatives there were, their summaries are there all the same.
        alternatives = 20 if has & {"token_confidence", "self_certainty"} else 0 if has else -1
        alternatives = int(self.metadata.get(ALTERNATIVES, alternatives))
        return PoolBackend(
            f"{self.name}/{model}", self.samples, seed=seed, alternatives=alternatives,
            prefixes=self.frame["prefix"].null_count() < self.frame.height, sleep=sleep, prices=prices,
        )  # fmt: skip

    def describe(self) -> str:
        """A few lines on what it holds."""
        return described(self.name, facts(self.frame, self.metadata))

    def to_polars(self) -> pl.DataFrame:
        """One row per sample."""
        return self.frame

    def shown(self) -> Shown:
        """What it holds."""
        title, *lines = self.describe().splitlines()
        return Shown(title, ("", ""), [line.partition(": ")[::2] for line in lines])


def _recorded(row: Mapping[str, Any], vocabulary: int, window: int) -> RecordedSample:
    sampling = json.loads(row["sampling"]) if row["sampling"] else {}
    if row["temperature"] is not None:
        sampling.setdefault("temperature", row["temperature"])
    return RecordedSample(
        row["sample_index"],
        row["text"] if row["text"] is not None else row["answer"] or "",
        Finish(row["finish"]) if row["finish"] else Finish.OTHER,
        row["prompt"], sampling, row["prompt_tokens"], row["cached_tokens"] or 0, row["completion_tokens"],
        {name: row[name] for name in SUMMARY if row[name] is not None}, row["score"], row["seconds"], row["failed"],
        answer_only=row["text"] is None and row["failed"] is None,
        logprobs=_logprobs(row, vocabulary), step_scores=tuple(row["step_scores"] or ()), language=row["language"],
        prefixes=tuple(zip(row["prefix_ends"] or (), row["prefix_tokens"] or (), strict=True)),
        prefix=row["prefix"] or "", window=window,
    )  # fmt: skip


def _logprobs(row: Mapping[str, Any], vocabulary: int) -> Logprobs | None:
    chosen, top = row["token_logprobs"], row["top_logprobs"] or ()
    if chosen is None:
        return None
    return Logprobs(array("f", chosen), array("f", top), len(top) // len(chosen) if chosen else 0, vocabulary)
