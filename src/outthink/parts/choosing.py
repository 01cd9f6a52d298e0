"""A model as the chooser among several samples: what it is asked, and how its replies are read.

Samples are shown without their thinking. Replies are hostile: one that can't be read chooses nothing. Scores of single samples
are verifiers'; how votes are counted is `outthink.parts.voting`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.parts.recordings import said
from outthink.parts.thinking import without_thinking

CONSISTENT = """\
Here are {count} responses to a request. Read them all and find the one that agrees best with what most of them say.

Request:
{problem}

{texts}

Say briefly what the responses agree on. Then end with one line of its own that names the most consistent response, such as
Choice: 1"""

CHECKLIST = """\
Here are {count} responses to a request. Select the best one in two stages. First write a short checklist of what a very good \
response to this request needs: correctness, the language of the request, instructions followed, completeness, style. Then check \
each response against it.

Request:
{problem}

{texts}

End with one line of its own that names the best response, such as
Choice: 1"""

PREFERENCE = """\
Here are a request and two responses. Decide which response is better.

Request:
{problem}

{texts}

Compare them briefly. Then end with one line of its own: Choice: 1 or Choice: 2, or Choice: tie"""

IN_LANGUAGE = "\n\nRespond in {language}."

_CHOICE = re.compile(r"\bchoice\b\W{0,10}(?:is\W{1,5})?(?:response\W{1,5})?(\d{1,4}|tie)\b", re.IGNORECASE)


def asked(template: str, problem: Problem, texts: Sequence[str]) -> Prompt:
    """One of the prompts above for these texts, numbered from 1."""
    numbered = "\n\n".join(f"Response {number}:\n{text}" for number, text in enumerate(texts, start=1))
    fields = {"{count}": str(len(texts)), "{problem}": problem.text, "{texts}": numbered}
    # One pass, and not str.format: problem and texts may hold braces of their own.
    return Prompt.chat(re.sub("|".join(map(re.escape, fields)), lambda match: fields[match[0]], template))


def choice(reply: str, count: int) -> int | None:
    """The place, from 0, of the response that a reply chooses; None where it chooses none of so many."""
    found = _CHOICE.findall(reply)
    number = int(found[-1]) if found and found[-1].isdecimal() else 0
    return number - 1 if 1 <= number <= count else None


def preference(reply: str) -> float | None:
    """1 for the first of two responses, 0 for the second, 1/2 for a tie; None where a reply doesn't say."""
    found = _CHOICE.findall(reply)
    return {"1": 1.0, "2": 0.0, "tie": 0.5}.get(found[-1].lower()) if found else None


def in_language(prompt: Prompt, language: str) -> Prompt:
    """The same request, to be answered in another language."""
    more = IN_LANGUAGE.format(language=language)
    if prompt.text is not None:
        return Prompt.raw(prompt.text + more, prefix=prompt.prefix)
    *turns, last = prompt.messages
    return replace(prompt, messages=(*turns, last.with_more(more)))


def shown(samples: Sequence[Sample], who: str) -> list[str]:
    """The samples as a chooser sees them. Raises PoolMiss where their texts were not kept."""
    said(samples, who)
    return [without_thinking(sample.whole).strip() for sample in samples]


def chosen(sample: Sample, answer: Answer) -> Selection:
    """The choice of one sample."""
    return Selection(answer.text, answer.answer_class, sample=sample)


async def picked(
    run: Run,
    problem: Problem,
    template: str,
    valid: Sequence[tuple[Sample, Answer]],
    otherwise: Selection,
    max_tokens: int,
    who: str,
) -> Selection:
    """The sample that a chooser picks in one call, or `otherwise` where its reply can't be read; offered too."""
    texts = shown([sample for sample, _ in valid], who)
    (reply,) = await replies(run, [asked(template, problem, texts)], max_tokens)
    place = choice(reply, len(valid))
    found = otherwise if place is None else chosen(*valid[place])
    run.offer(found)
    return found


async def replies(run: Run, prompts: Sequence[Prompt], max_tokens: int) -> list[str]:
    """What the role "judge" says to each prompt, greedily; "" where a reply never arrived. Raises where none did."""
    arrived = await run.generate(prompts, role="judge", temperature=0.0, max_tokens=max_tokens, stop=())
    found = {reply.key.index: without_thinking(reply.whole) for reply in arrived}
    return [found.get(index, "") for index in range(len(prompts))]


async def preferences(
    run: Run, problem: Problem, texts: Sequence[str], candidates: int, max_tokens: int
) -> dict[tuple[int, int], float]:
    """How far each of the first texts, the candidates, is preferred to every text: the judge's mean over both orders.

    1/2 where it says neither, and for a text against itself. Two candidates are asked about once, in both orders.
    """
    pairs = [(y, e) for y in range(candidates) for e in range(y + 1, len(texts))]
    orders = [order for y, e in pairs for order in ((y, e), (e, y))]
    said_of = await replies(run, [asked(PREFERENCE, problem, [texts[one], texts[two]]) for one, two in orders], max_tokens)
    first = {order: 0.5 if (found := preference(reply)) is None else found for order, reply in zip(orders, said_of, strict=True)}
    table = {(y, y): 0.5 for y in range(candidates)}
    for y, e in pairs:
        table[y, e] = (first[y, e] + 1 - first[e, y]) / 2
        table[e, y] = 1 - table[y, e]
    return table
