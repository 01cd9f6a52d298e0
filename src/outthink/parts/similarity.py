"""How likely two unfinished samples are to end in the same answer, by what can be seen of them: numbers in [0, 1].

Putting samples into clusters by such numbers is `outthink.parts.clustering`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from difflib import SequenceMatcher

from outthink.core.prompt import Prompt
from outthink.core.sample import Sample
from outthink.parts.prompts import filled

_WORD = re.compile(r"\w+|[^\w\s]")

SAME = """\
Here are a problem and the beginnings of two attempts at it. Decide whether both attempts will arrive at the same final answer.

Problem:
{problem}

First attempt:
{first}

Second attempt:
{second}

Reply with one word: yes or no."""


def edit(one: Sample, other: Sample) -> float:
    """Share of words that both have in common, in order (difflib's ratio)."""
    return SequenceMatcher(None, _WORD.findall(one.text), _WORD.findall(other.text), autojunk=False).ratio()


def overlap(one: Sample, other: Sample) -> float:
    """Share of all runs of three words that both have (Jaccard)."""
    first, second = (_runs(sample.text) for sample in (one, other))
    return len(first & second) / len(first | second) if first | second else 1.0


def logprob(one: Sample, other: Sample) -> float:
    """The ratio of their perplexities, the smaller to the larger; 0 where one has none."""
    means = [sample.summary.get("mean_logprob") for sample in (one, other)]
    return 0.0 if None in means else math.exp(-abs(means[0] - means[1]))  # type: ignore[operator]  # None was excluded


SIMILARITIES: Mapping[str, Callable[[Sample, Sample], float]] = {"edit": edit, "overlap": overlap, "logprob": logprob}


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return set(zip(words, words[1:], words[2:], strict=False)) if len(words) > 2 else {tuple(words)}


def same_question(problem: str, one: Sample, other: Sample) -> Prompt:
    """Ask a model whether two beginnings lead to the same answer."""
    return Prompt.chat(filled(SAME, problem=problem, first=one.whole, second=other.whole))


def same_chance(reply: Sample) -> float:
    """The chance of "yes": the probability of the reply's tokens where they are known, else 1 or 0; 0 for any other reply."""
    word = reply.text.strip().strip(".!*\"'").lower()
    sure = math.exp(min(reply.summary.get("sum_logprob", 0.0), 0.0))
    return sure if word == "yes" else 1 - sure if word == "no" else 0.0
