"""Toy worlds: problems that a simulated model answers with known probabilities, and the task and verifier that go with them.

How long a reply takes and what goes wrong on its way lives in `simulated`; what a strategy should reach here in `exact`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from outthink.core.errors import BadInput
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.task import INVALID, Answer
from outthink.parts import choosing, prompts

_ANSWER = re.compile(r"The answer is (\w+)\.")
_RESPONSE = re.compile(r"^Response \d+:\n", re.MULTILINE)
_CHOICES = (choosing.CONSISTENT, choosing.CHECKLIST, choosing.PREFERENCE)
_TOKEN = re.compile(r"\s*\S+|\s+$")
_PROBLEM = re.compile(r"Toy problem (\w+):")


@dataclass(frozen=True, slots=True)
class Odds:
    """One problem: its right answer, and the probability of every answer (words without spaces) that a sample may give.

    Where the probabilities don't reach 1 the rest of the samples gives no answer at all. Raises BadInput.
    """

    gold: str
    answers: Mapping[str, float]

    def __post_init__(self) -> None:
        if min(self.answers.values(), default=0) < 0 or sum(self.answers.values()) > 1 + 1e-9:
            raise BadInput(f"{dict(self.answers)} are no probabilities", where="odds")
        if not all(re.fullmatch(r"\w+", answer) for answer in (self.gold, *self.answers)):
            raise BadInput(f"answers are single words, unlike one of {[self.gold, *self.answers]}", where="odds")


class Reply(NamedTuple):
    """What a simulated model says, and the mean probability of its tokens."""

    text: str
    confidence: float


@dataclass(frozen=True)
class World:
    """Problems by id, and how well the simulated model judges and refines.

    sensitivity, specificity: chance that a right answer is called correct, and a wrong one incorrect, by judge and feedback
    keeps, mends: chance that refining leaves a right answer right, and makes a wrong one right
    words:        least and greatest number of words before the answer
    continues:    a reply goes on from the prompt's open prefix; otherwise it is what would have been said without it
    """

    continues: ClassVar[bool] = False

    odds: Mapping[str, Odds]
    sensitivity: float = 1.0
    specificity: float = 1.0
    keeps: float = 1.0
    mends: float = 0.5
    words: tuple[int, int] = (3, 12)
    task: ToyTask = field(default_factory=lambda: ToyTask())

    @property
    def problems(self) -> list[Problem]:
        """The problems with their gold answers."""
        return [Problem(f"Toy problem {name}: which word?", name, odds.gold) for name, odds in self.odds.items()]

    def reply(self, prompt: Prompt, chance: random.Random, script: Sequence[str | None] = ()) -> Reply:
        """A reply to anything that parts and strategies ask; a pure function of the prompt and the state of `chance`.

        script: holds the answer that a sample of the problem itself gives instead of chance (None: no answer)
        """
        turns = [message.content for message in prompt.messages] or [prompt.text or ""]
        name = next((found[-1] for turn in turns if (found := _PROBLEM.findall(turn))), None)
        if name is None or name not in self.odds:
            raise BadInput("the prompt names no problem of this world", where="world")
        gold, last = self.odds[name].gold, turns[-1]
        if last.startswith(prompts.BEGINNING.partition("\n")[0]):
            return Reply(f"Score: {self.rating(name, last)}/10", 0.9)
        if last.startswith(prompts.JUDGE.partition("\n")[0]):
            return Reply(f"Verdict: {'correct' if self._approves(stated(last) == gold, chance) else 'incorrect'}", 0.9)
        if last == prompts.FEEDBACK:
            return Reply("It is correct." if self._approves(stated(turns[-2]) == gold, chance) else "A step is wrong.", 0.9)
        if last == prompts.SCORED:
            return Reply(f"Score: {10 if self._approves(stated(turns[-2]) == gold, chance) else 3}/10", 0.9)
        if last == prompts.REFINE:
            return self._refined(turns[-4], name, chance)
        if last.startswith(prompts.IMPROVE.partition("{score}")[0]):
            return self._refined(turns[-2], name, chance)
        if (pick := self._pick(last, gold, chance)) is not None:
            return Reply(f"Choice: {pick}", 0.9)
        if script:
            return self.say(script[0], gold, chance)
        drawn, answer = chance.random(), None
        for candidate, probability in self.odds[name].answers.items():
            if drawn < probability:
                answer = candidate
                break
            drawn -= probability
        return self.say(answer, gold, chance)

    def _refined(self, draft: str, name: str, chance: random.Random) -> Reply:
        gold = self.odds[name].gold
        right = chance.random() < (self.keeps if stated(draft) == gold else self.mends)
        wrong = next((answer for answer in self.odds[name].answers if answer != gold), None)
        return self.say(gold if right else wrong, gold, chance)

    def rating(self, name: str, asked: str) -> int:
        """What a judge says of an answer so far, from 0 to 10; in a world without steps it can't tell."""
        return 5

    def first_tokens(self, prompt: Prompt, role: str) -> dict[str, float]:
        """Log-probabilities of what a model in this role may say first after a prompt; none in a world without steps."""
        return {}

    def say(self, answer: str | None, gold: str, chance: random.Random) -> Reply:
        """A reply that states this answer (None: none) after some words; right ones are a little surer."""
        words = [f"step{chance.randrange(1000)}" for _ in range(chance.randint(*self.words))]
        closing = "I give up." if answer is None else f"The answer is {answer}."
        return Reply(" ".join([*words, closing]), chance.uniform(0.5, 0.95 if answer == gold else 0.8))

    def _pick(self, asked: str, gold: str, chance: random.Random) -> str | None:
        """What a chooser says to one of its prompts (see `parts.choosing`); None for any other."""
        kind = next((each for each in _CHOICES if asked.endswith(each.rpartition("{texts}")[2])), None)
        if kind is None:
            return None
        answers = [stated(text) for text in _RESPONSE.split(asked)[1:]]
        if kind is choosing.CONSISTENT:
            return str(1 + answers.index(Counter(answers).most_common(1)[0][0]))
        liked = [self._approves(answer == gold, chance) for answer in answers]
        if kind is choosing.PREFERENCE and len(set(liked)) == 1:
            return "tie"
        return str(1 + liked.index(True)) if any(liked) else "1"

    def _approves(self, right: bool, chance: random.Random) -> bool:
        return chance.random() < (self.sensitivity if right else 1 - self.specificity)


def stated(text: str) -> str | None:
    """The last answer that a text states, or None."""
    found = _ANSWER.findall(text)
    return found[-1] if found else None


def tokens(text: str) -> list[str]:
    """The tokens of every simulated model: words with the space before them. Joined they are the text again."""
    return _TOKEN.findall(text)


class ToyTask:
    """The task of every toy world: an answer is the word after "The answer is", and words are equivalent to themselves only."""

    name = "toy"
    sampling: Mapping[str, Any] = {}

    def prompt(self, problem: Problem) -> Prompt:
        """The problem's text as a chat."""
        return Prompt.chat(problem.text)

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """The stated answers."""
        found = (stated(text) for text in texts)
        return [INVALID if answer is None else Answer(answer, answer) for answer in found]

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """Equality with the gold answer."""
        return [answer == problem.gold for answer in answers]


class ToyVerifier:
    """Scores a sample by what it states; answers that are not in the table, and none, have no score."""

    name = "toy"
    oracle = False
    logprobs: LogprobNeed | None = None
    roles: frozenset[str] = frozenset()

    def __init__(self, scores: Mapping[str, float]) -> None:
        self.scores = dict(scores)

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """The table's numbers."""
        return [self.scores.get(answer.text or "") for answer in await run.answers(problem, samples)]
