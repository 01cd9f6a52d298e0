"""From finished runs to rows: what is right, what it cost, and the same spent plainly beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outthink.core.budget import Budget, Usage
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.selection import Offer, Result, Selection, Stop
from outthink.evaluation.outcomes import Outcome, at_budget, credit, outcomes
from outthink.evaluation.rows import Cell, Cells, distinct, remarks, rows

PROBLEM = Problem("2+2?", id="p", gold="4")


def usage(samples: int, tokens: int | None = None) -> Usage:
    known = 10 * samples if tokens is None else tokens
    return Usage(samples=samples, calls=1, completion_tokens=known, seconds=float(samples))


def result(*answers: str, stop: Stop = Stop.FINISHED) -> Result:
    offers = [Offer(Selection(answer, answer), usage(k)) for k, answer in enumerate(answers, start=1)]
    last = offers[-1].selection if offers else None
    return Result(
        "p", "majority", answers[-1] if answers else None, last, stop, "why not", usage(len(answers)), offers=tuple(offers)
    )


def cells(**strategies: dict[int, list[float]]) -> Cells:
    """Credits of problems 0, 1, ... by strategy and samples; a sample costs 10 tokens."""
    made: dict[tuple[str, str], Cell] = {}
    for strategy, by_samples in strategies.items():
        for samples, credits in by_samples.items():
            cell = made.setdefault((strategy, f"{samples} samples"), Cell())
            for problem, right in enumerate(credits):
                cell.add(Outcome(strategy, f"{samples} samples", str(problem), 0, "x", right, usage(samples)))
    return made


def test_one_run_answers_every_smaller_budget() -> None:
    run = result("3", "3", "4", "4")
    found = outcomes(run, PROBLEM, {"3": False, "4": True}, budgets=[Budget(samples=k) for k in (1, 2, 3, 4, 9)])
    assert [each.credit for each in found] == [0, 0, 1, 1, 1]
    assert [each.usage.samples for each in found] == [1, 2, 3, 4, 4]
    assert at_budget(run, Budget(completion_tokens=29))[1].samples == 2
    nothing, spent = at_budget(run, Budget(completion_tokens=9))
    assert (nothing, spent.completion_tokens) == (None, 9), "a sample that was cut costs all that was granted"


def test_a_budget_that_nothing_fits_gives_no_answer_and_says_so() -> None:
    (found,) = outcomes(result("4"), PROBLEM, {"4": True}, budgets=[Budget(completion_tokens=5)])
    assert (found.answer, found.credit, found.usage.completion_tokens, found.reason) == (None, 0.0, 5, "why not")
    (cut,) = outcomes(Result("p", "single", None, None, Stop.BUDGET, "", usage(1)), PROBLEM, {}, budgets=[Budget(samples=1)])
    assert (cut.credit, cut.usage) == (0.0, usage(1)), "what ended without an answer was paid for"
    (lost,) = outcomes(result(stop=Stop.FAILED), PROBLEM, {}, label="mine")
    assert (lost.strategy, lost.budget, lost.answer, lost.credit) == ("mine", "no limit", None, 0.0)


def test_a_row_of_misses_has_no_accuracy_and_nothing_is_compared_with_it() -> None:
    missed = Result("p", "majority", None, None, Stop.FAILED, "never recorded", Usage(calls=8), missed=True)
    (lost,) = outcomes(missed, PROBLEM, {}, budgets=[Budget(seconds=30)])
    assert lost.missed
    nothing, half = Cell(), Cell()
    nothing.add(lost)
    for each in (lost, *outcomes(result("4"), replace(PROBLEM, id="q"), {"4": True})):
        half.add(each)
    found = rows({("majority", "30 s"): nothing, ("majority", "9 s"): half, ("single", "9 s"): half})
    assert [(row.accuracy, row.missed) for row in found] == [(None, 1), (0.5, 1), (0.5, 1)]
    assert (found[2].difference, found[2].equal) == (0.0, "tokens"), "samples that never were, had no tokens to count"
    assert not any("gold" in remark or "not counted" in remark for remark in remarks(found))
    (early, *_) = outcomes(
        replace(missed, usage=usage(8), offers=result("4").offers), PROBLEM, {"4": True}, budgets=[Budget(samples=1)]
    )
    assert (early.missed, early.credit) == (False, 1.0)


def test_without_a_gold_answer_there_is_no_credit() -> None:
    (found,) = outcomes(result("4"), Problem("2+2?"), {})
    assert found.credit is None
    cell = Cell()
    cell.add(found)
    (row,) = rows({("majority", "1 sample"): cell})
    assert (row.accuracy, row.problems, row.samples) == (None, 1, 1.0)


@pytest.mark.parametrize(
    ("votes", "tie", "expected"),
    [
        ({"4": 2.0, "3": 1.0}, False, 1.0),
        ({"4": 2.0, "3": 2.0}, True, 0.5),
        ({"3": 1.0, "5": 1.0, "4": 1.0}, True, 1 / 3),
        ({}, True, 1.0),
    ],
)
def test_tied_classes_share_the_credit(votes: dict[str, float], tie: bool, expected: float) -> None:
    chosen = Selection("4", "4", votes=votes, tie=tie)
    assert credit(chosen, {"3": False, "4": True, "5": False}) == pytest.approx(expected)
    assert credit(Selection(None), {}) == credit(None, {}) == 0.0


def test_the_baseline_is_taken_at_equal_tokens() -> None:
    """Majority: 0 at 10 tokens, 1 at 30; so 1/2 at 20, and its nearest beyond its ends."""
    found = rows(cells(majority={1: [0] * 8, 3: [1] * 8}, other={2: [1, 1, 1, 0] * 2, 4: [0] * 8}))
    plain, _, middle, beyond = found
    assert plain.baseline == ""
    assert (middle.baseline, middle.equal, middle.baseline_accuracy, middle.difference) == ("majority", "tokens", 0.5, 0.25)
    assert not middle.beyond
    assert (beyond.baseline_accuracy, beyond.difference, beyond.beyond) == (1.0, -1.0, True)


def test_the_difference_is_paired_over_problems_of_both() -> None:
    """The other ran on the two hard problems only: there it is better, although its accuracy is lower than majority's on all."""
    found = rows(cells(majority={2: [0, 0, 1, 1, 1, 1]}, other={2: [1, 0]}))
    assert found[1].accuracy == 0.5
    assert found[0].accuracy == pytest.approx(4 / 6)
    assert (found[1].baseline_accuracy, found[1].difference) == (0.0, 0.5)


def test_samples_stand_in_where_tokens_were_not_recorded() -> None:
    made = cells(majority={1: [0.0], 2: [1.0]}, other={2: [0.0]})
    for cell in made.values():
        cell.usage = Usage(samples=cell.usage.samples, unknown_completion_tokens=100)
    other = rows(made)[2]
    assert (other.equal, other.baseline_accuracy, other.unknown_tokens) == ("samples", 1.0, 100)


def test_single_is_the_baseline_where_majority_did_not_run_and_a_wrong_name_is_refused() -> None:
    found = cells(single={1: [0, 1]}, other={1: [1, 1]})
    assert [row.baseline for row in rows(found)] == ["", "single"]
    assert [row.baseline for row in rows(found, baseline="other")] == ["other", ""]
    with pytest.raises(BadInput, match="'majority' is not among single, other"):
        rows(found, baseline="majority")


def test_rows_that_repeat_the_one_before_are_not_shown() -> None:
    made = cells(single={1: [1, 0]}, majority={1: [1, 0], 2: [1, 1]})
    made = {**made, ("single", "2 samples"): made["single", "1 samples"]}
    ordered = sorted(rows(made), key=lambda row: row.strategy)
    assert [(row.strategy, row.samples) for row in distinct(ordered)] == [("majority", 1), ("majority", 2), ("single", 1)]
