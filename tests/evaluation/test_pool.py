"""Pools: what was written is read again, what can't be right is refused by row and column, and memory stays flat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from outthink.core.errors import BadInput, PoolMiss
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.evaluation.schema import RECORDED_POOLS, SCHEMA
from outthink.evaluation.write import write_pool


def row(problem: str = "p", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"problem_id": problem, "problem": f"what is {problem}?", "gold": "4", "model": "m", "sample_index": index, **more}


def written(path: Path, *rows: dict[str, Any], **metadata: str) -> Pool:
    write_pool(path / "pool.parquet", rows, metadata)
    return Pool.read(path / "pool.parquet")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [
        row(index=1, text="so 4\x00\n", answer="4", answer_class="4", correct=True, finish="stop", prompt_tokens=9,
            cached_tokens=3, completion_tokens=5, mean_logprob=-0.5, self_certainty=2.0, score=1, seconds=0.25,
            temperature=0.7, sampling='{"temperature": 0.7, "top_k": 0}'),
        row(index=0, failed="timeout"),
        row("q"),
    ]  # fmt: skip
    pool = written(tmp_path, *rows, licence="CC0", provenance="a test")
    assert dict(pool.metadata) == {"licence": "CC0", "provenance": "a test"}
    assert pool.problems == (Problem("what is p?", id="p", gold="4"), Problem("what is q?", id="q", gold="4"))
    lost, kept = pool.samples("p")
    assert (lost.failed, lost.completion_tokens) == ("timeout", None)
    assert (kept.text, kept.finish, kept.sampling) == ("so 4\x00\n", Finish.STOP, {"temperature": 0.7, "top_k": 0})
    assert kept.summary == {"mean_logprob": -0.5, "self_certainty": 2.0}
    assert [*pool.samples("nowhere")] == []
    assert "licence: CC0" in pool.describe()
    write_pool(tmp_path / "again.parquet", pool.frame.iter_rows(named=True), pool.metadata)
    assert Pool.read(tmp_path / "again.parquet").frame.equals(pool.frame)
    assert {file.name for file in tmp_path.iterdir()} == {"pool.parquet", "again.parquet"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"mean_logprob": float("nan")}, r"row 1, column 'mean_logprob': nan must be a finite number"),
        ({"score": float("inf")}, "row 1, column 'score'"),
        ({"completion_tokens": -1}, "row 1, column 'completion_tokens': -1 must be 0 or more"),
        ({"completion_tokens": "many"}, "row 1, column 'completion_tokens': 'many' is no Int64"),
        ({"completion_tokens": 1 << 70}, "row 1, column 'completion_tokens'"),
        ({"prompt_tokens": 1, "cached_tokens": 2}, "row 1, column 'cached_tokens'"),
        ({"text": "\ud800"}, "row 1, column 'text'"),
        ({"finish": "STOP"}, "row 1, column 'finish': 'STOP' must be one of eos"),
        ({"sampling": "[1]"}, "row 1, column 'sampling'"),
        ({"problem_id": None}, "row 1, column 'problem_id'"),
        ({"answer_class": "4"}, "row 1, column 'answer'"),
        ({"failed": "lost", "answer": "4", "answer_class": "4"}, "row 1, column 'answer'"),
        ({"tokens": 3}, "row 1: there is no column 'tokens'"),
        ({"sample_index": 0}, "row 1: sample 0 of problem 'p' by m was there before"),
    ],
)
def test_a_bad_value_is_named_and_nothing_is_left_behind(tmp_path: Path, bad: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        write_pool(tmp_path / "pool.parquet", [row(), {**row(index=1), **bad}])
    assert list(tmp_path.iterdir()) == []


def full(path: Path) -> None:
    path.write_text("the beginning")
    raise pl.exceptions.ComputeError("underlying IO error: No space left on device (os error 28)")


def test_a_full_disk_leaves_what_was_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {"provenance": "a test", "licence": "CC0-1.0"}
    pool = written(tmp_path, row(), **stated)
    pool.export(tmp_path / "pool.jsonl")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for writer in ("write_parquet", "write_ndjson"):
        monkeypatch.setattr(pl.DataFrame, writer, lambda self, path, **how: full(path))
    for write in (
        lambda: pool.write(tmp_path / "pool.parquet"),
        lambda: pool.export(tmp_path / "pool.jsonl"),
        lambda: write_pool(tmp_path / "pool.parquet", [row()]),
    ):
        with pytest.raises(BadInput, match=r"can't be written: .*No space left"):
            write()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(BadInput, match="lies in a folder that doesn't exist"):
        pool.write(tmp_path / "nowhere" / "pool.parquet")


def test_a_pool_of_nothing_and_metadata_that_are_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no samples"):
        written(tmp_path).one_model()
    with pytest.raises(BadInput, match="alternatives is 'many', and it must be a whole number"):
        written(tmp_path, row(), alternatives="many")


def test_an_error_of_the_rows_themselves_is_raised_as_it_is(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield row()
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        write_pool(tmp_path / "pool.parquet", rows())
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_checked_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    frame = pl.DataFrame([row(), row(index=1)])
    for broken, says in [
        (frame.drop("model"), "has no column 'model'"),
        (frame.with_columns(sample_index=pl.lit("x")), "'sample_index' holds text"),
        (frame.with_columns(sample_index=pl.Series([0.5, 1.0])), "0.5 must be a whole number"),
        (frame.with_columns(score=pl.Series([1.0, float("nan")])), "row 1, column 'score'"),
        (pl.concat([frame, frame[:1]]), "row 2: sample 0 of problem 'p' by m was there before"),
    ]:
        broken.write_parquet(path)
        with pytest.raises(BadInput, match=says):
            Pool.read(path)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(BadInput, match="no readable Parquet file"):
        Pool.read(path)
    with pytest.raises(BadInput, match="no such file"):
        Pool.read(tmp_path / "missing.parquet")


def test_foreign_columns_are_mapped_and_short_floats_mean_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    frame = pl.DataFrame([{**row(), "n_tokens": 7, "answer": "4", "finish": "STOP", "temperature": 0.8}])
    frame.cast({"temperature": pl.Float32, "answer": pl.Categorical}).write_parquet(path)
    pool = Pool.read(path, columns=RECORDED_POOLS)
    assert set(pool.frame.columns) == set(SCHEMA)
    assert pool.samples("p")[0].completion_tokens == 7
    assert RecordedTask(pool).sampling == {"max_tokens": 7, "temperature": 0.8}
    with pytest.raises(BadInput, match="no column 'nonsense'"):
        Pool.read(path, columns={"gold": "nonsense"})


def test_several_models_must_be_chosen_from(tmp_path: Path) -> None:
    pool = written(tmp_path, row(), {**row(), "model": "other"})
    with pytest.raises(BadInput, match="2 models"):
        pool.backend()
    assert pool.of("other").one_model() == "other"
    with pytest.raises(BadInput, match="no model 'none'"):
        pool.of("none")


async def test_recorded_answers_and_grades_are_given_again(tmp_path: Path) -> None:
    rows = [
        row(index=0, text="it is 4.0", answer="4.0", answer_class="4", correct=True),
        row(index=1, text="it is 4", answer="4", answer_class="4", correct=False),  # graded both ways: half is enough
        row(index=2, text="five", answer="5", answer_class="5", correct=False),
        row(index=3, text="hm"),
        row(index=4, answer="6", answer_class="6", correct=False),  # its text was not kept
    ]
    pool = written(tmp_path, *rows)
    task, problem = RecordedTask(pool), pool.problems[0]
    found = await task.answers(problem, ["it is 4.0", "hm", "five", "6", ""], [])
    assert [(answer.text, answer.answer_class) for answer in found] == [
        ("4.0", "4"),
        (None, None),
        ("5", "5"),
        ("6", "6"),
        (None, None),
    ]
    assert await task.grade(problem, ["4.0", "4", "5", None]) == [True, False, False, False]
    with pytest.raises(PoolMiss, match="never said"):
        await task.answers(problem, ["never said"], [])
    with pytest.raises(PoolMiss, match="no grade"):
        await task.grade(problem, ["7"])


def test_writing_takes_constant_memory(tmp_path: Path) -> None:
    """A quarter of a million rows of 400 characters: 100 MB of text that is never held at once."""
    program = """
import resource, sys
from outthink.evaluation.write import write_pool
write_pool(sys.argv[1], [])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = ({"problem_id": f"p{i // 64}", "model": "m", "sample_index": i % 64, "text": f"{i} " * 66} for i in range(256_000))
assert write_pool(sys.argv[1], rows, {"licence": "CC0"}) == 256_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    path = tmp_path / "large.parquet"
    grown = int(subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True).stdout)
    assert grown < 150, f"{grown} MB"
    assert pl.scan_parquet(path).select(pl.len()).collect().item() == 256_000
