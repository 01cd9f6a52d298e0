"""Worked examples and hints before a problem. They stand apart from the task's own prompt and never enter the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from outthink.core.prompt import Message, Prompt
from outthink.parts.prompts import filled

TEMPLATE = """\
Describe the kind of problem below, not the problem itself: its type, what is known, what is asked for, and the theorem or \
strategy that solves it. Use none of its numbers. Fill in these four lines and write nothing else:
Type:
Known:
Goal:
Strategy:

Problem:
{problem}"""


def template(problem: str) -> Prompt:
    """Ask what kind of problem it is."""
    return Prompt.chat(filled(TEMPLATE, problem=problem))


def hinted(prompt: Prompt, examples: Sequence[Mapping[str, str]], situations: Sequence[Mapping[str, str]] = ()) -> Prompt:
    """The prompt after solved examples (first, so that servers can cache them) and situations with the step taken there."""
    if not examples and not situations:
        return prompt
    texts = [f"Problem:\n{each['problem']}\n\nSolution:\n{each['solution']}" for each in examples]
    texts += [f"A similar situation:\n{each['situation']}\n\nWhat was done next:\n{each['step']}" for each in situations]
    told = "\n\n".join(texts)
    if prompt.text is not None:
        return replace(prompt, text=f"{told}\n\n{prompt.text}")
    head, *rest = prompt.messages
    if head.author == "system":
        return replace(prompt, messages=(Message("system", f"{head.content}\n\n{told}"), *rest))
    return replace(prompt, messages=(Message("system", told), *prompt.messages))
