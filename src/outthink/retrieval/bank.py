"""A bank of solved problems, searched by words (BM25): whole examples for a problem, and next steps for an answer so far.

    outthink.solve(problem, strategy="r2", roles={"retriever": Bank([("problem", "step 1\\n\\nstep 2"), ...])}, ...)

Any object with these two async methods can stand in for it. What a bank holds of the very problem asked is never given out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from outthink.core.errors import BadInput
from outthink.core.step import Steps

K1, B = 1.2, 0.75
"""BM25's saturation and length normalisation, as most search engines set them."""
_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words and marks of a text, lower case."""
    return _WORD.findall(text.casefold())


class Index:
    """BM25 over texts (Robertson and Zaragoza, 2009): higher is more alike; ties in the order of the texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(words(text)) for text in texts]
        self._lengths = [count.total() for count in self._counts]
        self._mean = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        holding = Counter(word for count in self._counts for word in count)
        total = len(texts)
        self._rarity = {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in holding.items()}

    def ranked(self, query: str) -> list[int]:
        """The texts that share a word with the query, the most alike first."""
        asked = set(words(query)) & self._rarity.keys()

        def score(at: int) -> float:
            count, norm = self._counts[at], K1 * (1 - B + B * self._lengths[at] / self._mean)
            return math.fsum(
                self._rarity[word] * count[word] * (K1 + 1) / (count[word] + norm) for word in asked if word in count
            )

        scores = {at: score(at) for at in range(len(self._counts))}
        return sorted((at for at in scores if scores[at] > 0), key=lambda at: -scores[at])


class Bank:
    """Solved problems: pairs of a problem's text and its solution, whose steps end as `steps` says.

    leak: an item shares so much of the query's words, in runs of three, that it counts as the same problem; in (0, 1]

    Raises BadInput.
    """

    def __init__(self, solved: Iterable[tuple[str, str]], steps: Steps | None = None, leak: float = 0.8) -> None:
        self._solved, rule = list(solved), steps or Steps()
        if not 0 < leak <= 1 or any(not isinstance(text, str) for pair in self._solved for text in pair):
            raise BadInput("give pairs of texts, and a leak above 0 and up to 1", where="bank")
        self._leak = leak
        self._problems = Index([problem for problem, _ in self._solved])
        self._steps: list[tuple[int, str, str]] = []
        for at, (problem, solution) in enumerate(self._solved):
            ends = rule.split(solution)
            for before, after in zip(["", *ends], ends, strict=False):
                self._steps.append((at, f"{problem}\n{before}", after[len(before) :].strip()))
        self._contexts = Index([context for _, context, _ in self._steps])

    def _same(self, problem: str, at: int) -> bool:
        one, other = (words(text) for text in (problem, self._solved[at][0]))
        if one == other:
            return True
        runs, known = (set(zip(text, text[1:], text[2:], strict=False)) for text in (one, other))
        return bool(runs) and len(runs & known) / len(runs) >= self._leak

    async def examples(self, problem: str, query: str, count: int) -> list[dict[str, str]]:
        """The `count` solved problems most like the query, other than the problem itself."""
        found = [at for at in self._problems.ranked(f"{query}\n{problem}") if not self._same(problem, at)]
        return [{"problem": self._solved[at][0], "solution": self._solved[at][1]} for at in found[:count]]

    async def next_steps(self, problem: str, text: str, count: int) -> list[dict[str, str]]:
        """The `count` situations most like this answer so far, and the step that was taken there."""
        found = [at for at in self._contexts.ranked(f"{problem}\n{text}") if not self._same(problem, self._steps[at][0])]
        return [{"situation": self._steps[at][1], "step": self._steps[at][2]} for at in found[:count]]
