"""`outthink pool`: what it says, puts together, takes apart and hands over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outthink.core.logprobs import Logprobs
from outthink.evaluation.pool import Pool
from outthink.evaluation.write import write_pool
from tests.cli.conftest import Outthink

STATED = {"provenance": "a test", "licence": "CC0-1.0"}


def row(problem: str, index: int, text: str = "4", **more: Any) -> dict[str, Any]:
    answer = {"text": text, "answer": text, "answer_class": text, "correct": text == "4"}
    return {"problem_id": problem, "problem": f"{problem}?", "gold": "4", "model": "m", "sample_index": index,
            "completion_tokens": 8, **answer, **more}  # fmt: skip


def written(name: str, *rows: dict[str, Any], **metadata: str) -> str:
    write_pool(name, rows, {**STATED, **metadata})
    return name


def test_describe(outthink: Outthink) -> None:
    pool = written("a.parquet", row("p", 0), row("p", 1, "5"), row("p", 2, "5", correct=True), row("q", 0))
    found = outthink("pool", "describe", pool, "--json").document
    assert (found["problems"], found["samples"], found["samples_each"]) == (2, 4, [1, 3])
    assert (found["graded"], found["right"], found["conflicts"], found["completion_tokens"]) == (4, 3, 1, 32)
    assert "a: 2 problems, 1 to 3 samples each, 4 in all" in outthink("pool", "describe", pool).out


def test_validate(outthink: Outthink) -> None:
    assert outthink("pool", "validate", written("a.parquet", row("p", 0, key="k"))).code == 0
    write_pool("b.parquet", [row("p", 0)], {"provenance": "a test"})
    assert "state its licence" in outthink("pool", "validate", "a.parquet", "b.parquet").err
    assert (
        "key 'k' was there before"
        in outthink("pool", "validate", written("c.parquet", row("p", 0, key="k"), row("p", 1, key="k"))).err
    )


def test_merge_takes_the_same_sample_once(outthink: Outthink) -> None:
    one = written("a.parquet", row("p", 0, key="k0"), row("p", 1, key="k1"), alternatives="20")
    two = written(
        "b.parquet", row("p", 0, key="k1"), row("p", 1, "5", key="k1"), row("q", 0, key="k9"), licence="MIT", alternatives="5"
    )
    assert outthink("pool", "merge", one, two, "--to", "c.parquet", "--json").document == {
        "pool": "c.parquet", "samples": 4, "met_again": 1,
    }  # fmt: skip
    pool = Pool.read("c.parquet")
    assert sorted(pool.frame.select("problem_id", "sample_index", "key", "text").rows()) == [
        ("p", 0, "k0", "4"), ("p", 1, "k1", "4"), ("p", 2, "k1", "5"), ("q", 0, "k9", "4"),
    ]  # fmt: skip
    assert dict(pool.metadata) == {"provenance": "a test", "licence": "CC0-1.0; MIT", "alternatives": "5"}


def test_a_sample_that_is_in_two_pools_gets_what_either_says_of_it(outthink: Outthink) -> None:
    full = written(
        "a.parquet", row("p", 0, key="k0", score=0.5), row("p", 1, "5", key="k1", prompt="x"), row("p", 2, "6", key="k2")
    )
    bare = written(
        "b.parquet",
        row("p", 0, key="k0", text=None, correct=None, seconds=2.0),
        row("p", 1, "5", key="k1", prompt="y"),  # another prompt got the same reply
        {"problem_id": "p", "problem": "p?", "gold": "4", "model": "m", "sample_index": 2, "key": "k2", "failed": "lost"},
    )
    for pools in ((full, bare), (bare, full)):
        assert outthink("pool", "merge", *pools, "--to", "c.parquet", "--json").document["samples"] == 5
        found = Pool.read("c.parquet").frame.row(0, named=True)
        assert (found["text"], found["correct"], found["score"], found["seconds"]) == ("4", True, 0.5, 2.0)


def test_rounded_scores_and_repeated_keys_keep_no_pools_apart(outthink: Outthink) -> None:
    one = written("a.parquet", row("p", 0, key="k0", score=0.1234567890123))
    two = written("b.parquet", row("p", 0, key="k0", score=0.1234568), row("p", 1, "5", key="k1"), row("p", 2, "6", key="k1"))
    bare = written("c.parquet", row("p", 0, key="k1", text=None, answer=None, answer_class=None, correct=None))
    for pools in ((one, two), (two, one)):
        assert outthink("pool", "merge", *pools, bare, "--to", "d.parquet", "--json").document["samples"] == 3
    assert outthink("pool", "merge", bare, two, "--to", "d.parquet", "--json").document["samples"] == 3, "one key, two samples"


@pytest.mark.parametrize(
    ("other", "metadata", "says"),
    [
        ({"problem": "another?"}, {}, "two problems"),
        ({"gold": "5"}, {}, "two golds: '4' and '5'"),
        ({"correct": False}, {}, "sample 0 of problem 'p' by m is there twice, and correct is True and False"),
        ({"answer": "four"}, {}, "answer is '4' and 'four'"),
        ({"score": 0.25}, {}, "score is 0.5 and 0.25"),
        ({"key": "k1"}, {"verifier": "judge"}, "scores of confidence and of judge don't compare"),
    ],
)
def test_pools_that_disagree_are_not_merged(
    outthink: Outthink, other: dict[str, Any], metadata: dict[str, str], says: str
) -> None:
    one = written("a.parquet", row("p", 0, key="k0", score=0.5), verifier="confidence")
    two = written("b.parquet", {**row("p", 0, key="k0", score=0.5), **other}, **metadata)
    refused = outthink("pool", "merge", one, two, "--to", "c.parquet")
    assert (refused.code, says in refused.err, Path("c.parquet").exists()) == (2, True, False), refused.err


def test_filter(outthink: Outthink) -> None:
    rows = [row("p", 0), row("p", 1, finish="length"), row("p", 2), row("q", 0, model="n", language="de", correct=None)]
    pool = written("a.parquet", *rows)

    def kept(*words: str) -> list[tuple[str, int]]:
        said = outthink("pool", "filter", pool, "--to", "b.parquet", *words)
        assert said.code == 0, said.err
        return Pool.read("b.parquet").frame.select("problem_id", "sample_index").rows()

    assert kept("--model", "n") == kept("--problem", "q") == kept("--language", "de") == [("q", 0)]
    assert kept("--samples", "1") == [("p", 0), ("q", 0)]
    assert kept("--whole", "--graded") == [("p", 0), ("p", 2)]
    assert kept("--no-texts") == [(each["problem_id"], each["sample_index"]) for each in rows]
    assert Pool.read("b.parquet").frame["text"].null_count() == 4
    assert "no model 'x'" in outthink("pool", "filter", pool, "--to", "c.parquet", "--model", "x").err


def test_what_is_exported_is_imported_again(outthink: Outthink) -> None:
    from array import array

    arrays = Logprobs(array("f", [-0.5, -1.0]), array("f", [-0.5, -3.0, -1.0, -2.0]), 2)
    more = {
        "token_logprobs": arrays.chosen.tolist(),
        "top_logprobs": arrays.top.tolist(),
        "step_scores": [0.5, None],
        "prefix_ends": [1],
        "prefix_tokens": [4],
        "language": "de",
        "sampling": '{"temperature": 0.7}',
        "temperature": 0.7,
    }
    pool = written("a.parquet", row("p", 0, **more), row("p", 1, "5"))
    assert outthink("pool", "export", pool, "--to", "a.jsonl").code == 0
    assert outthink("pool", "import", "a.jsonl", "--to", "b.parquet", "--licence", "CC0-1.0").code == 0
    assert Pool.read("b.parquet").frame.equals(Pool.read("a.parquet").frame)
    assert "which would be lost" in outthink("pool", "import", "a.jsonl", "--to", "./a.jsonl", "--licence", "CC0-1.0").err
    assert "holds no lists" in outthink("pool", "export", pool, "--to", "a.csv").err
    assert outthink("pool", "export", pool, "--to", "a.csv", "--columns", "problem_id,answer").code == 0
    assert Path("a.csv").read_text().splitlines() == ["problem_id,answer", "p,4", "p,5"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"prefix_ends": [1]}, "as many as prefix_tokens"),
        ({"prefix_ends": [1, 0], "prefix_tokens": [1, 2]}, "rising"),
        ({"prefix_ends": [9], "prefix_tokens": [1]}, "within the text"),
        ({"prefix_ends": [1], "prefix_tokens": [99]}, "at most completion_tokens"),
        ({"token_logprobs": [-1.0, -1.0], "top_logprobs": [-1.0, -2.0, -3.0]}, "as many for each token"),
        ({"top_logprobs": [-1.0]}, "null without token_logprobs"),
    ],
)
def test_lists_that_cannot_be_right_are_refused(outthink: Outthink, bad: dict[str, Any], says: str) -> None:
    from outthink.core.errors import BadInput

    with pytest.raises(BadInput, match=says):
        written("a.parquet", row("p", 0), row("p", 1, **bad))


def test_a_journal_is_imported(outthink: Outthink, model: str, problems: Path) -> None:
    said = outthink(
        "eval", str(problems), "--model", model, "--budgets", "2 samples", "--strategies", "majority", "--journal", "j.db"
    )
    assert said.code == 0, said.err
    words = ("pool", "import", "j.db", "--to", "p.parquet", "--licence", "CC0-1.0")
    assert "give its --task and its --problems" in outthink(*words).err
    made = outthink(*words, "--task", "math", "--problems", str(problems), "--json").document
    assert made == {"pool": "p.parquet", "format": "journal", "samples": 12, "left_out": 0}


def test_problems_under_other_ids_are_numbered(outthink: Outthink) -> None:
    Path("problems.jsonl").write_text(
        '{"problem": "1+1?", "gold": "2", "id": "x"}\n{"problem": "2+2?", "gold": "4", "id": "y"}\n'
    )
    Path("samples.jsonl").write_text('{"problem_id": "set-1", "text": "\\\\boxed{4}", "model": "m"}\n')
    words = (
        "pool",
        "import",
        "samples.jsonl",
        "--to",
        "p.parquet",
        "--licence",
        "MIT",
        "--task",
        "math",
        "--problems",
        "problems.jsonl",
    )
    assert "'set-1' isn't among the --problems, whose first is 'x'" in outthink(*words).err
    assert "needs --problems, and {} where" in outthink(*words, "--problem-ids", "set-").err
    assert outthink(*words, "--problem-ids", "set-{}").code == 0
    import polars as pl

    rows = pl.read_parquet("p.parquet").select("problem_id", "problem", "gold", "answer", "correct").rows()
    assert rows == [("set-1", "2+2?", "4", "4", True)]


def test_a_pool_answers_strategies_and_budgets_of_every_kind(outthink: Outthink) -> None:
    rows = [
        row(
            f"p{at}",
            index,
            "4" if index % 3 else "5",
            completion_tokens=10 * (index + 1),
            prompt_tokens=3,
            seconds=float(index + 1),
        )
        for at in range(4)
        for index in range(8)
    ]
    pool = written("a.parquet", *rows)

    def said(budget: str, *words: str) -> Any:
        found = outthink("eval", "--pool", pool, "--budgets", budget, "--json", "--strategies", *(words or ("majority",)))
        assert found.code in (0, 1), found.err
        return next(row for row in json.loads(found.out)["rows"] if row["strategy"] == (words or ["majority"])[0])

    assert said("8 samples")["accuracy"] == 1.0
    assert said("100 completion tokens")["completion_tokens"] <= 100
    first = said("8 samples", "first_finish")
    assert first["completion_tokens"] == 8 * 10, "all decode ten tokens a second until the shortest, of ten, has ended"
    hasty = said("2.5 s", "majority", "--param", "n=8")
    assert hasty["samples"] == 2, "two of the eight had ended by then"


def test_curves_of_a_pool_are_asked_without_a_strategy(outthink: Outthink) -> None:
    rows = [row(f"p{at}", index, "4" if index % 3 else "5") for at in range(4) for index in range(8)]
    pool = written("a.parquet", *rows)
    said = outthink("pool", "curves", pool, "--samples", "1,8")
    assert said.code == 0, said.err
    assert "one run (95%)" in said.out
    points = outthink("pool", "curves", pool, "--json").document["points"]
    assert {point["n"] for point in points} == {1, 2, 4, 8}
    assert next(each["accuracy"] for each in points if (each["selector"], each["n"]) == ("majority", 8)) == 1
    drawn = outthink("pool", "curves", pool, "--plot", "curves.png", "--json")
    assert (drawn.code, drawn.document["points"]) == (0, points)
    assert "plot: curves.png" in drawn.err
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    for words, why in (
        (("--plot", "curves.jpg"), "must end with .png, .svg or .pdf"),
        (("--plot", "no/such/place.png"), "folder that doesn't exist"),
        (("--samples", "9"), "between 1 and 8"),
        (("--samples", "x"), "no number"),
        (("--scores", "gold"), "gold"),
        (("--seed", "-1"), "at least 0"),
    ):
        refused = outthink("pool", "curves", pool, *words)
        assert refused.code == 2
        assert why in refused.err


def test_a_description_says_what_was_not_recorded_and_that_there_are_texts(outthink: Outthink) -> None:
    bare = {**row("q", 0), "text": None, "completion_tokens": None}
    found = outthink("pool", "describe", written("a.parquet", bare), "--json").document
    assert found["completion_tokens"] is None
    assert "text" not in found["columns"]
    assert "text" in outthink("pool", "describe", written("b.parquet", row("p", 0)), "--json").document["columns"]
