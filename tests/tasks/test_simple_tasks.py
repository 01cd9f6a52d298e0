"""The tasks without child processes, tasks of one's own, and finding tasks by name."""

import re
import sys

import pytest

from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.task import Task
from outthink.tasks import SimpleTask, load, names
from outthink.tasks.arithmetic import MOST, SHOTS, ArithmeticTask, problems
from outthink.tasks.exact import ExactTask

CAPITALS = Problem("Capital of France?", options=("London", "Paris", "Rome", "12"), gold="B")


async def classes(task, texts, problem=CAPITALS):
    return [answer.answer_class for answer in await task.answers(problem, texts, [])]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("so the answer is B", "B"),
        ("Answer: b", "B"),
        (r"\boxed{\text{C}}", "C"),
        ("The answer is Paris.", "B"),
        ("The correct answer is **A) London**", "A"),
        ("First A.\nNo:\n(C)", "C"),
        ("The answer is B because it is.", "B"),
        ("The answer is E.", None),
        ("A good question. Maybe B or C.", None),
        ("", None),
    ],
)
async def test_choice_settles_on_a_letter(text, letter):
    assert await classes(load("choice"), [text]) == [letter]


async def test_choice_grades_by_letter_or_option_and_shows_the_options():
    task = load("choice")
    for gold in ("B", "b", "(B)", "Paris", "paris"):
        problem = Problem("Capital?", options=CAPITALS.options, gold=gold)
        assert await task.grade(problem, ["B", "A", None]) == [True, False, False]
    assert "B) Paris" in task.prompt(CAPITALS).messages[0].content
    with pytest.raises(BadInput, match="neither a letter from A to D nor one of its options"):
        await task.grade(Problem("?", options=CAPITALS.options, gold="Berlin"), ["A"])
    for text in ("?", "A. Smith asks: why?", "A) only one"):
        with pytest.raises(BadInput, match=r"[01] options.*a line each"):
            task.prompt(Problem(text))


async def test_a_text_may_list_its_options_itself():
    task = load("choice")
    for listed in ("A) London\nB) Paris", " (A) London\n (B) Paris", "A. Rome\nB. Oslo\nC. Bonn\n\nNow:\nA: London\nB: Paris"):
        problem = Problem(f"Capital of France?\n{listed}\nSay which.", gold="Paris")
        assert task.prompt(problem).messages[0].content.count("Paris") == 1
        assert await classes(task, ["It is Paris. The answer is B", r"\boxed{paris}", "C"], problem) == ["B", "B", None]
        assert await task.grade(problem, ["B", "A"]) == [True, False]


async def test_exact():
    texts = ["Answer: New  York.", 'thinking\nAnswer: "new york"', "New York", "two\nlines", "", "The answer is: Boston"]
    assert await classes(load("exact"), texts) == ["new york", "new york", "new york", None, None, "boston"]
    assert await load("exact").grade(Problem("?", gold="NEW YORK"), ["new york.", "York", None]) == [True, False, False]
    assert await classes(ExactTask(r"code (\w+)"), ["code A1, code B2", "none"]) == ["b2", None]
    assert await classes(ExactTask(r"\d{4}"), ["in 1999 or 2001"]) == ["2001"]
    with pytest.raises(BadInput, match="not a regular expression"):
        ExactTask("(")


async def test_text_is_its_own_class():
    assert await classes(load("text"), ["a  poem\n", "a poem", "A poem", " "]) == ["a poem", "a poem", "A poem", None]


async def test_arithmetic_prompts_extracts_and_grades():
    task = load("arithmetic")
    problem = Problem("How many?", gold="12")
    text = task.prompt(problem).text
    assert text.count("Q:") == len(SHOTS) + 1 == 4
    assert text.endswith("Q: How many?\nA:")
    texts = [" 4 * 3 = 12.", " 12 apples\nQ: 99", " He has 12.0", " many", ""]
    assert await classes(task, texts, problem) == ["12", "12", "12", None, None]
    assert await task.grade(problem, ["12", "12.00", "13", None]) == [True, True, False, False]


def test_arithmetic_problems_are_right_distinct_and_continue_each_other():
    made = problems(600, seed=3)
    assert made[:100] == problems(100, seed=3) != problems(100, seed=4)
    assert len({problem.text for problem in made}) == len({problem.id for problem in made}) == 600
    shots = {question for question, _ in SHOTS}
    for problem in made:
        a, b = (int(number) for number in re.findall(r"\d+", problem.text))
        assert 3 <= min(a, b) <= max(a, b) <= 19
        assert int(problem.gold) in {a + b, a - b, a * b}
        assert problem.text not in shots
    assert len(problems(MOST)) == MOST
    for count in (0, MOST + 1):
        with pytest.raises(BadInput, match=f"1 to {MOST}"):
            problems(count)


class Parity(SimpleTask):
    name = "parity"
    template = "{problem} Odd or even?"

    def extract(self, problem, text):
        words = re.findall("odd|even", text.lower())
        return words[-1] if words else None


async def test_a_task_of_ones_own_is_a_few_lines():
    task = load(Parity())
    assert task.prompt(Problem("Is {x} 7?")).messages[0].content == "Is {x} 7? Odd or even?"
    assert await classes(task, ["Odd", "so even", "?"]) == ["odd", "even", None]
    assert await task.grade(Problem("7?", gold="odd"), ["odd", "even", None]) == [True, False, False]
    with pytest.raises(BadInput, match="no gold answer"):
        await task.grade(Problem("7?"), ["odd"])


async def test_a_rule_that_raises_is_named():
    class Broken(SimpleTask):
        name = "broken"

        def extract(self, problem, text):
            return text[5]

    with pytest.raises(BadInput, match=r"task broken, problem p1: extract raised IndexError"):
        await Broken().answers(Problem("?", id="p1"), ["ab"], [])


async def test_pairwise_equality_of_ones_own():
    class Near(SimpleTask):
        def equal(self, problem, one, other):
            return abs(float(one) - float(other)) < 0.5

    assert await classes(Near(), ["1", "1.2", "3", "2.9"]) == ["1", "1", "3", "3"]


def test_every_built_in_keeps_the_protocol_and_is_shared():
    assert names() == ["arithmetic", "calc", "choice", "countdown", "countdown_search", "exact", "math", "text"]
    for name in names():
        task = load(name)
        assert isinstance(task, Task)
        assert task.name == name
        assert load(name) is task is load(task)


def test_loading_by_path_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "my_parity_task.py").write_text(
        "from outthink.tasks import SimpleTask\nclass Own(SimpleTask):\n    name = 'own'\nready = Own()\nnumber = 7\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert load("my_parity_task:Own").name == load("my_parity_task:ready").name == "own"
    assert sys.path == path
    del sys.modules["my_parity_task"]
    for wrong, message in {
        "my_parity_task:number": "is a int, not a task",
        "my_parity_task:missing": "can't be loaded",
        "no_such_module_here:x": "can't be loaded",
    }.items():
        with pytest.raises(BadInput, match=message):
            load(wrong)
    with pytest.raises(UnknownName, match="did you mean math"):
        load("maths")
    for wrong in (ArithmeticTask, 7):
        with pytest.raises(BadInput, match="not a task"):
            load(wrong)
