"""What readers see: true numbers, no commands from foreign text, nothing from the network."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import ClassVar

import pytest

from outthink.core.budget import Budget, Usage
from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.problem import Problem
from outthink.core.sample import Failure, Finish, Sample
from outthink.core.selection import Offer, Result, Selection, Stop
from outthink.core.task import Answer
from outthink.report.evaluation import Evaluation
from outthink.report.html import page
from outthink.report.plot import lines, spending
from outthink.report.text import number, points, points_span, visible

EVIL = "$\\frac$ <script>alert(1)</script>\x1b[31m\x00\u202ereversed\ud800 4"


class LastWord:
    """The answer is the last word."""

    name = "last word"
    sampling: ClassVar[dict[str, object]] = {}

    def prompt(self, problem: Problem) -> object:
        raise NotImplementedError

    async def answers(self, problem: Problem, texts: list[str], known: list[str]) -> list[Answer]:
        return [Answer(text.split()[-1], text.split()[-1]) if text.split() else Answer(None) for text in texts]

    async def grade(self, problem: Problem, answers: list[str | None]) -> list[bool]:
        return [answer == problem.gold for answer in answers]


def finished(problem: Problem, strategy: str, *texts: str) -> Result:
    samples = [Sample(Key("run", seq=0, index=i), text, Finish.STOP, 9) for i, text in enumerate(texts)]
    offers = [
        Offer(Selection(text.split()[-1], text.split()[-1]), Usage(k, k, 20 * k, 0, 9 * k))
        for k, text in enumerate(texts, start=1)
    ]
    last = offers[-1]
    lost = (Failure(Key("run", index=len(texts)), EVIL),)
    return Result(
        problem.id, strategy, last.selection.answer, last.selection, Stop.FINISHED, usage=last.usage, offers=tuple(offers),
        samples=tuple(samples), failed=lost,
    )  # fmt: skip


@pytest.fixture
async def evaluation() -> Evaluation:
    made = Evaluation(model="toy", title=f"Toy {EVIL}", notes=["the oracle sees gold answers"], settings={"seed": 0})
    for number_ in range(6):
        problem = Problem(f"{number_} {EVIL}", id=f"p{number_}", gold="4")
        budgets = [Budget(samples=1), Budget(samples=2)]
        for strategy, texts in (
            ("single", ["so 5"]),
            ("majority", [EVIL, "so 4" if number_ % 2 else "so 5"]),
            ("best", ["no 5", "is 4"]),
        ):
            run = finished(problem, strategy, *texts)
            await made.add(LastWord(), problem, run, budgets=budgets, oracle=strategy == "best")  # type: ignore[arg-type]
    return made


def test_rows_and_json_say_the_same(evaluation: Evaluation) -> None:
    told, first = json.loads(evaluation.to_json()), evaluation.rows[0]
    assert told["settings"]["model"] == "toy"
    credit = [row.pop("credit") for row in told["rows"]]
    assert [{name: row[name] for name in first.fields()} for row in told["rows"]] == [row.fields() for row in evaluation.rows]
    assert [sum(each.values()) / len(each) for each in credit] == pytest.approx([row.accuracy for row in evaluation.rows])
    assert evaluation.row("majority", "1 sample").accuracy == 1.0
    assert evaluation.row("majority").accuracy == 0.5
    assert evaluation.row("best").tokens == 58
    with pytest.raises(BadInput, match="there is no 'beam'"):
        evaluation.row("beam")
    with pytest.raises(BadInput, match="no finished run"):
        _ = Evaluation().rows


def test_a_table_fits_its_terminal_and_says_what_it_must(evaluation: Evaluation) -> None:
    from rich.console import Console

    for width in (56, 200):
        out = StringIO()
        Console(file=out, width=width).print(evaluation.table(width=width))
        text = out.getvalue()
        assert "majority" in text
        assert "50.0%" in text
        assert ("tokens calls" in text) == (width == 200)
        assert not set(text) & set("\x1b\x00\u202e")
    assert "best (oracle)" in str(evaluation)
    assert "sees gold answers" in str(evaluation)
    assert [str(cell) for cell in evaluation.table(["2 samples"]).columns[1].cells] == ["2", "2"]  # single used one only


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]


def test_a_page_escapes_everything_and_asks_the_network_for_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    text = evaluation.report(tmp_path / "report.html").read_text(encoding="utf-8")
    found = Tags(text)
    assert "script" not in found.tags
    assert all(link.startswith("#") for link in found.links)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "Content-Security-Policy" in text
    assert "&lt;script&gt;alert(1)" in text
    assert not set(text) & set("\x1b\x00\u202e\ud800")
    assert found.tags.count("svg") == 1
    assert "currentColor" in text
    assert "#010203" not in text
    assert text.count("<summary>") == 6 + 6 * 3  # problems, and for each two samples and a failure


def test_a_page_shows_samples_votes_and_choices(evaluation: Evaluation) -> None:
    text = page(evaluation)
    assert "majority: 4" in text
    assert "majority: 5" in text
    assert "2 of 3 right" in text
    assert "1 of 3 right" in text


def test_the_front_is_in_table_page_json_and_frame(evaluation: Evaluation) -> None:
    assert [(row.strategy, row.budget) for row in evaluation.front] == [("majority", "1 sample")]
    assert evaluation.row("best").front is None, "an oracle is on no front"
    assert "●" in str(evaluation)
    assert "no row does better for as many tokens" in str(evaluation)
    text = page(evaluation)
    assert "What to use for how many tokens" in text
    assert "What to use" in text[: text.index("Strategies and budgets")]
    frame = evaluation.to_polars()
    assert frame.filter(frame["front"].fill_null(value=False))["strategy"].to_list() == ["majority"]
    assert frame.height == len(evaluation.rows)


def test_a_page_says_where_it_went_wrong(evaluation: Evaluation) -> None:
    odd, even = (next(each for each in evaluation.details if each.problem == name) for name in ("p1", "p0"))
    assert (odd.kind, even.kind) == ("not chosen", "not chosen")
    assert even.story == "1 of 3 samples are right; most wrong ones (1) say '5'. Wrong: single, majority."
    assert {each.answer: each.samples for each in even.answers} == {"4": 1, "5": 1}
    assert even.choices["majority"].budget == "2 samples"
    assert "sampled, and at least one strategy did not choose them (6)" in page(evaluation)


async def test_what_was_never_sampled_is_told_from_what_was_not_chosen() -> None:
    made = Evaluation(model="toy")
    problem = Problem("?", id="p", gold="4")
    await made.add(LastWord(), problem, finished(problem, "majority", "so 5", "so 6"))  # type: ignore[arg-type]
    (detail,) = made.details
    assert detail.kind == "never sampled"
    assert detail.story.startswith("None of 3 samples is right")
    assert "better samples are needed" in page(made)


def test_a_notebook_gets_picture_and_table_escaped(evaluation: Evaluation) -> None:
    text = evaluation._repr_html_()
    assert text.count("<svg") == 1
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not set(text) & set("\x1b\x00\u202e\ud800")
    assert evaluation.plot().axes


async def test_what_the_rows_can_not_say_is_said() -> None:
    made = Evaluation(model="toy")
    problem = Problem("?", id="p")
    await made.add(LastWord(), problem, finished(problem, "best", "a 1"))  # type: ignore[arg-type]
    assert any("no problem has a gold answer" in each for each in made.remarks)
    assert any("add majority" in each for each in made.remarks)
    assert "no problem has a gold answer" in str(made)
    assert "no problem has a gold answer" in page(made)
    await made.add(LastWord(), Problem("!", id="q", gold="4"), finished(Problem("!", id="q"), "best", "a 4"))  # type: ignore[arg-type]
    assert any("1 of 2 problems have no gold answer" in each for each in made.remarks)


async def test_unknown_tokens_are_told_apart_from_none() -> None:
    made, problem = Evaluation(model="toy"), Problem("?", id="p", gold="4")
    run = finished(problem, "majority", "a 4")
    spent = Usage(1, 1, 20, 0, 9, unknown_completion_tokens=50)
    await made.add(LastWord(), problem, replace(run, usage=spent, offers=()))  # type: ignore[arg-type]
    assert "29+" in str(made)
    assert "+ more tokens may have been spent than were counted" in str(made)


async def test_the_baseline_is_measured_between_its_budgets_too() -> None:
    """Majority is wrong until its third sample; between 1 and 4 samples a mixture would give it a third."""
    made = Evaluation(model="toy")
    for at in range(4):
        problem = Problem(f"{at}", id=f"{at}", gold="4")
        plain = finished(problem, "majority", "a 5", "b 5", "c 4", "d 4")
        limits = [Budget(samples=1), Budget(samples=4)]
        await made.add(LastWord(), problem, plain, budgets=limits, rungs=[Budget(samples=2)])  # type: ignore[arg-type]
        await made.add(LastWord(), problem, finished(problem, "best", "a 5", "b 5"))  # type: ignore[arg-type]
    row = made.row("best")
    assert row.baseline_accuracy == 0
    assert [each.budget for each in made.rows if each.strategy == "majority"] == ["1 sample", "4 samples"]
    assert made.compare("best", "majority", equal="samples", at=2).other_accuracy == 0


async def test_a_page_of_problems_without_gold_answers_has_no_picture_and_no_verdict() -> None:
    made = Evaluation(model="toy")
    problem = Problem("?", id="p")
    await made.add(LastWord(), problem, finished(problem, "majority", "a 1", "b 2"))  # type: ignore[arg-type]
    text = page(made)
    assert "<svg" not in text
    assert 'class="tag right"' not in text
    with pytest.raises(BadInput, match="nothing has an accuracy"):
        made.plot("never.png")


def test_a_row_that_asked_for_nothing_hides_no_tokens(evaluation: Evaluation) -> None:
    """Each of its runs asked for what was never recorded, say."""
    lost = replace(evaluation.rows[0], strategy="lost", accuracy=None, samples=0.0, completion_tokens=0.0)
    assert spending([*evaluation.rows, lost]) == spending(evaluation.rows) == "tokens"
    assert lines([*evaluation.rows, lost]) == lines(evaluation.rows)


def test_pictures_are_written_as_their_names_say(evaluation: Evaluation, tmp_path: Path) -> None:
    assert evaluation.plot(tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in evaluation.plot(tmp_path / "plot.svg").read_bytes()
    for wrong, why in (("plot.nonsense", "must end with"), ("missing/plot.png", "folder that doesn't exist")):
        with pytest.raises(BadInput, match=why):
            evaluation.plot(tmp_path / wrong)
    with pytest.raises(BadInput, match="can't be written"):
        evaluation.report(tmp_path / "missing" / "report.html")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "?"),
        (0.0, "0"),
        (0.4321, "0.432"),
        (7.25, "7.2"),
        (8.0, "8"),
        (812.4, "812"),
        (20300, "20\u202f300"),
        (1.25e6, "1.25M"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_signs_and_cut_texts() -> None:
    assert [points(value) for value in (0.021, -0.0004, -0.1, None)] == ["+2.1", "0.0", "\N{MINUS SIGN}10.0", ""]
    assert points_span(-0.01, 0.052) == "\N{MINUS SIGN}1.0…+5.2"
    assert visible("abcdef", 4) == "abcd … (2 more characters)"
