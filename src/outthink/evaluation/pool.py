"""Pools: tables of recorded samples in memory, read from Parquet. Writing them is `outthink.evaluation.write`'s, replaying
them `outthink.backends.pool`'s, and what makes a row valid `outthink.evaluation.schema`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from outthink.backends.pool import PoolBackend, RecordedSample
from outthink.core.budget import Prices
from outthink.core.errors import BadInput, PoolMiss
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.evaluation.schema import SUMMARY, shaped, unique, validate

ALTERNATIVES = "alternatives"
"""Metadata: log-probabilities per token that the summaries were made of."""


@dataclass(frozen=True, eq=False)
class Pool:
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
        try:
            frame, metadata = pl.read_parquet(path, memory_map=False), pl.read_parquet_metadata(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise BadInput(f"is no readable Parquet file: {str(error).splitlines()[0]}", where=where) from None
        frame = shaped(frame, columns or {}, where)
        validate(frame, where)
        unique(frame, where)
        if not texts:
            frame = frame.with_columns(pl.lit(None, pl.String).alias("text"))
        ours = {name: value for name, value in metadata.items() if not name.startswith(("ARROW:", "pandas"))}
        return cls(frame, ours, path.stem)

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
            self._samples[problem] = tuple(_recorded(row) for row in self._groups[problem].iter_rows(named=True))
        return self._samples[problem]

    def backend(self, *, seed: int = 0, sleep: bool = False, prices: Prices | None = None) -> PoolBackend:
        """A backend that replays this pool. Raises BadInput where it holds several models."""
        model = self.one_model()
        has = {name for name in SUMMARY if self.frame[name].null_count() < self.frame.height}
        # Where nothing says how many alternatives there were, their summaries are there all the same.
        alternatives = 20 if has & {"token_confidence", "self_certainty"} else 0 if has else -1
        alternatives = int(self.metadata.get(ALTERNATIVES, alternatives))
        return PoolBackend(f"{self.name}/{model}", self.samples, seed=seed, alternatives=alternatives, sleep=sleep, prices=prices)

    def describe(self) -> str:
        """A few lines on what it holds."""
        frame = self.frame
        per = frame.group_by("problem_id", "model").len()["len"].to_list()
        lost, valid = frame["failed"].count(), frame["answer_class"].count()
        graded, right = frame["correct"].count(), frame["correct"].sum()
        each = f"{min(per, default=0)} to {max(per, default=0)} samples each, {frame.height} in all"
        lines = [
            f"pool {self.name}: {len(self.problems)} problems, {each}",
            f"models: {', '.join(self.models)}",
            f"failed: {lost}; without an answer: {frame.height - lost - valid}",
            f"graded: {graded}" + (f", right: {right} ({right / graded:.3f})" if graded else ""),
            f"answers that are graded both right and wrong: {self.conflicts()}",
            "recorded columns: " + ", ".join(name for name in frame.columns if frame[name].null_count() < frame.height),
        ]
        return "\n".join([*lines, *(f"{name}: {value}" for name, value in sorted(self.metadata.items()))])

    def conflicts(self) -> int:
        """How many answers are graded right in one sample and wrong in another."""
        graded = self.frame.filter(pl.col("answer").is_not_null() & pl.col("correct").is_not_null())
        both = graded.group_by("problem_id", "model", "answer").agg(pl.col("correct").n_unique())
        return both.filter(pl.col("correct") > 1).height


def _recorded(row: Mapping[str, Any]) -> RecordedSample:
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
    )  # fmt: skip
