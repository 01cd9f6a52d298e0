"""`outthink compare`, on recorded samples and on a finished evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from outthink.evaluation.write import write_pool
from tests.cli.conftest import Outthink


@pytest.fixture
def pool(outthink: Outthink) -> Path:
    """Twelve problems of eight samples: two in three are right, and score higher."""
    rows = [
        {
            "problem_id": str(at), "problem": f"problem {at}", "gold": "7", "model": "recorded", "sample_index": index,
            "text": f"It is {answer}.", "answer": answer, "answer_class": answer, "correct": answer == "7",
            "score": float(answer) / 10, "prompt_tokens": 10, "completion_tokens": 5,
        }
        for at in range(12)
        for index in range(8)
        for answer in ["7" if (index + at) % 3 else "6"]
    ]  # fmt: skip
    write_pool("pool.parquet", rows)
    return Path("pool.parquet")


def test_a_pool_answers_in_one_sentence(outthink: Outthink, pool: Path) -> None:
    said = outthink("compare", str(pool), "majority", "single", "--at", "120")
    assert said.code == 0, said.err
    assert said.out.startswith("majority is better than single by ")
    assert "at equal tokens" in said.out
    assert "single: not measured at that spending" in said.out
    found = outthink("compare", str(pool), "best-of-n", "majority", "--json", "--equal", "samples", "--budgets", "1,2").document
    assert found["spent"] == 2
    assert found["accuracy"] > found["other_accuracy"]
    assert found["sentence"].startswith("best_of_n")


def test_a_pool_of_a_task_is_asked_with_that_tasks_prompts(outthink: Outthink) -> None:
    """The project's own pool: its prompts hold more than the problems."""
    pool = str(Path(__file__).parents[2] / "examples" / "pools" / "arithmetic.parquet")
    assert outthink("pool", "filter", pool, "--to", "few.parquet", "--problem", "arithmetic-7-0000").code == 0
    said = outthink("compare", "few.parquet", "majority", "single", "--budgets", "1,2", "--replicates", "1")
    assert said.code == 0, said.err
    assert "at equal tokens" in said.out
    unscored = ("compare", "few.parquet", "best-of-n", "majority", "--budgets", "1,2", "--replicates", "1")
    assert outthink(*unscored, "--verifier", "self_certainty").code == 0
    for words in (unscored, ("eval", "--pool", "few.parquet", "--strategies", "best-of-n", "--budgets", "2")):
        refused = outthink(*words)
        assert (refused.code, "holds no scores; name a verifier" in refused.err) == (2, True), "no vote passes for a best score"
    assert outthink("eval", "--pool", "few.parquet", "--replicates", "0").code == 2


def test_a_finished_evaluation_answers_too(outthink: Outthink, pool: Path) -> None:
    words = ("--strategies", "single,majority,best-of-n", "--budgets", "1,4", "--report", "out")
    assert outthink("eval", "--pool", str(pool), *words).code == 0
    said = outthink("compare", "out/evaluation.json", "best_of_n", "majority")
    assert said.code == 0, said.err
    assert "at equal tokens" in said.out


def test_strategies_of_two_evaluations_are_compared_by_problem(outthink: Outthink, pool: Path) -> None:
    for name, strategy in (("long", "single"), ("short", "best-of-n")):
        words = ("--strategies", strategy, "--budgets", "1,4", "--report", name)
        assert outthink("eval", "--pool", str(pool), *words).code == 0
    ends = "long/evaluation.json", "short/evaluation.json"
    said = outthink("compare", ends[0], "single", "best-of-n", "--against", ends[1])
    assert said.code == 0, said.err
    assert said.out.startswith("single of long/evaluation.json ")
    assert "best_of_n of short/evaluation.json" in said.out
    assert "12 problems" in said.out
    same = outthink("compare", ends[0], "single", "single", "--against", ends[0], "--json").document
    assert same["difference"]["value"] == 0
    for words, told in (
        ((ends[0], "majority", "best-of-n", "--against", str(pool)), "is a pool; give the evaluation.json"),
        ((ends[0], "first_finish", "best-of-n", "--against", ends[1]), "strategy of long/evaluation.json"),
    ):
        wrong = outthink("compare", *words)
        assert wrong.code == 2
        assert told in wrong.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("absent.json", "a", "b"), "absent.json"),
        (("absent.parquet", "single", "majority"), "no such file"),
        (("pool.parquet", "single", "majorty"), "did you mean majority"),
        (("bad.json", "a", "b"), "no rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(outthink: Outthink, pool: Path, words: tuple[str, ...], message: str) -> None:
    Path("bad.json").write_text('{"rows": [1]}')
    said = outthink("compare", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_terminal_too_narrow_for_a_table_cuts_no_figure_off(
    outthink: Outthink, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    said = outthink("eval", "--pool", str(pool), "--strategies", "single,majority", "--budgets", "1,8").out
    assert "equal tokens" in said
    assert "…+" in said
    assert not [line for line in said.splitlines() if line.rstrip().endswith(("+", "−", "–", "…"))]
