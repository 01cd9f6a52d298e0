"""What models are asked about answers (verdict, feedback, refinement), and how their replies are read.

Replies are hostile: what can't be read is None, never a score. Prompts that ask the problem itself are the task's.
"""

from __future__ import annotations

import re
from dataclasses import replace

from outthink.core.problem import Problem
from outthink.core.prompt import Message, Prompt

JUDGE = """\
Here are a problem and a proposed solution. Decide whether the solution's final answer is correct.

Problem:
{problem}

Proposed solution:
{solution}

Check the solution step by step and briefly. Then end with one line of its own, either
Verdict: correct
or
Verdict: incorrect"""

BEGINNING = """\
Here are a problem and the beginning of a solution. Judge only what is written so far: is every step right, and does it lead to \
the answer?

Problem:
{problem}

The solution so far:
{solution}

Check the last step briefly. Then end with one line of its own that rates the solution so far from 0 (a mistake, or a dead end) \
to 10 (right, and on its way), such as
Score: 7/10"""

FEEDBACK = """\
Review your answer. Check each step; name the first mistake, say why it is one and how to mend it. Be specific and brief. \
If there is nothing to mend, reply only: It is correct."""

SCORED = """\
Review your answer. Check each step; name the first mistake, say why it is one and how to mend it. Be specific and brief. \
End with one line of its own that rates the answer from 0 (useless) to 10 (perfect), such as
Score: 7/10"""

REFINE = """\
Use this feedback, and all before it, to write the whole answer again, improved and in the form that was asked for."""

IMPROVE = """\
Your answer was checked and scored {score} on a scale from 0 (wrong) to 1 (right). Find what is wrong or could be better, and \
write the whole answer again, improved and in the form that was asked for."""

_VERDICT = re.compile(r"\bverdict\b\W{0,10}(?:is\W{1,5})?(correct|incorrect|right|wrong|yes|no)\b", re.IGNORECASE)
_BARE = re.compile(r"\W*(correct|incorrect|right|wrong|yes|no)\W*", re.IGNORECASE)
_SCORE = re.compile(r"\bscore\b\W{0,10}(\d{1,3}(?:\.\d{1,6})?)(?:\s?/\s?(\d{1,3}))?(?![\d/])", re.IGNORECASE)
_RIGHT = frozenset({"correct", "right", "yes"})


def judge(problem: Problem, solution: str) -> Prompt:
    """Ask for a verdict on one solution."""
    return Prompt.chat(filled(JUDGE, problem=problem.text, solution=solution))


def judge_beginning(problem: Problem, solution: str) -> Prompt:
    """Ask for a rating of an unfinished solution."""
    return Prompt.chat(filled(BEGINNING, problem=problem.text, solution=solution))


def filled(template: str, **texts: str) -> str:
    """The template with each {name} replaced by its text."""
    # One pass, and not str.format: the texts may hold braces of their own.
    marks = {f"{{{name}}}": text for name, text in texts.items()}
    return re.sub("|".join(map(re.escape, marks)), lambda match: marks[match[0]], template)


def verdict(reply: str) -> bool | None:
    """The last verdict in a reply, or the reply that is nothing but a verdict; None where there is none."""
    found = _VERDICT.findall(reply)
    bare = _BARE.fullmatch(reply.strip()[:40])
    word = found[-1] if found else bare[1] if bare else ""
    return word.lower() in _RIGHT if word else None


def score(reply: str) -> float | None:
    """The last "Score: x/y" in a reply as x/y (y is 10 where it isn't said); None where there is none from 0 to 1."""
    found = _SCORE.findall(reply)
    if not found:
        return None
    part, whole = float(found[-1][0]), float(found[-1][1] or 10)
    return part / whole if 0 < whole >= part else None


def conversation(prompt: Prompt) -> Prompt:
    """A prompt that can be talked on: a raw text becomes the user's turn, an open prefix the reply's."""
    return replace(prompt, prefix="") if prompt.text is None else Prompt.chat(prompt.text)


def answered(prompt: Prompt, reply: str, ask: str) -> Prompt:
    """The conversation after the model's reply and the next thing asked of it."""
    # An empty turn is refused by many servers.
    return prompt.then(Message("assistant", reply or "(no answer)"), Message("user", ask))
