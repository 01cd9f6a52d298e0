"""Toy worlds whose answers come in steps: small trees with known probabilities and scores, and their exact posteriors.

The backend and the schedules are those of every toy world (`simulated`, `trials`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from outthink.core.errors import BadInput
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.step import Steps
from outthink.testing.worlds import Odds, Reply, ToyTask, World, tokens

BOUNDARY = "\n\n"


@dataclass(frozen=True)
class Node:
    """One step.

    chance: of being taken after the step above it; what children lack to 1 ends the answer there without stating one
    score:  the verifier's of the answer up to here
    below:  the steps after it, by name; none: it states its own name as the answer
    """

    chance: float = 1.0
    score: float | None = None
    below: Mapping[str, Node] = field(default_factory=dict)

    def leaves(self) -> Iterator[tuple[tuple[str, ...], float, tuple[Node, ...]]]:
        """Every whole answer under this node: its path of names, its probability, its nodes."""
        for name, child in self.below.items():
            if not child.below:
                yield (name,), child.chance, (child,)
            for path, chance, nodes in child.leaves():
                yield (name, *path), child.chance * chance, (child, *nodes)


@dataclass(frozen=True)
class TreeWorld(World):
    """A world of one tree per problem; made by `grown`. Nodes are named by single words, and leaves are answers."""

    trees: Mapping[str, Node] = field(default_factory=dict)
    continues: ClassVar[bool] = True

    @classmethod
    def grown(cls, trees: Mapping[str, tuple[str, Node]], **settings: float) -> TreeWorld:
        """A world from each problem's right answer and the root of its tree. Raises BadInput."""
        odds = {}
        for name, (gold, root) in trees.items():
            answers: dict[str, float] = {}
            for path, chance, _ in root.leaves():
                answers[path[-1]] = answers.get(path[-1], 0.0) + chance
            odds[name] = Odds(gold, answers)
        return cls(odds, task=StepTask(), trees={name: root for name, (_, root) in trees.items()}, **settings)  # type: ignore[arg-type]  # settings are World's own

    def node(self, name: str, text: str) -> Node | None:
        """The node that an answer so far has reached; None: it left the tree."""
        node = self.trees[name]
        for step in filter(None, text.split(BOUNDARY)):
            found = node.below.get(step.removeprefix("The answer is ").removesuffix(".").removeprefix("Then "))
            if found is None:
                return None
            node = found
        return node

    def reply(self, prompt: Prompt, chance: random.Random, script: Sequence[str | None] = ()) -> Reply:
        """The rest of an answer from where the prompt's prefix ends; whatever else is asked as in every world."""
        turns = [message.content for message in prompt.messages] or [prompt.text or ""]
        name = next((name for name in self.trees if turns[-1].startswith(f"Toy problem {name}: which word?")), None)
        if name is None:
            return super().reply(prompt, chance, script)
        whole, _, begun = prompt.prefix.rpartition(BOUNDARY)
        node, steps = self.node(name, whole), list[str]()
        while node is not None and (node.below or begun):
            # A step that was cut in its middle goes on as one of those that begin so.
            fitting = {step: child for step, child in node.below.items() if _said(step, child).startswith(begun)}
            drawn = chance.random() * (sum(child.chance for child in fitting.values()) if begun else 1.0)
            node = None
            for step, child in fitting.items():
                if drawn < child.chance:
                    steps.append(_said(step, child).removeprefix(begun))
                    node = child
                    break
                drawn -= child.chance
            else:
                steps.append("I give up.".removeprefix(begun))
            begun = ""
        return Reply(BOUNDARY.join(steps), 0.8)

    def rating(self, name: str, asked: str) -> int:
        """Ten times the score of the node that the answer so far has reached; 0 where it left the tree."""
        shown = asked.partition("The solution so far:\n")[2].partition("\n\nCheck the last step")[0]
        node = self.node(name, shown)
        return 0 if node is None or node.score is None else round(10 * node.score)

    def first_tokens(self, prompt: Prompt, role: str) -> dict[str, float]:
        """What each role may say first after an answer so far: the generator its next words; a verifying model ("prm") "good"
        with its node's score, and "bad"; a reward model ("mrm") the best score that each next word can lead to, against "<unk>".
        """
        turns = [message.content for message in prompt.messages] or [prompt.text or ""]
        name = next((name for name in self.trees if f"Toy problem {name}: which word?" in turns[0]), None)
        if name is None:
            return {}
        if role == "prm":
            node = self.node(name, prompt.prefix)
            found = {} if node is None or node.score is None else {"good": node.score, "bad": 1 - node.score}
            return {word: math.log(max(p, 1e-300)) for word, p in found.items()}
        masses: dict[str, float] = {}
        for text, chance, score in _texts(self.trees[name]):
            if text.startswith(prompt.prefix):
                said = tokens(text[len(prompt.prefix) :])
                word = said[0] if said else ""
                best = score if role == "mrm" else chance
                masses[word] = max(masses.get(word, 0.0), best) if role == "mrm" else masses.get(word, 0.0) + best
        if role == "mrm":
            return {"<unk>": -5.0, **{word: score - 5.0 for word, score in masses.items()}}
        return {word: math.log(mass / sum(masses.values())) for word, mass in masses.items() if mass > 0}


def _texts(node: Node, before: str = "", chance: float = 1.0) -> Iterator[tuple[str, float, float]]:
    """Every whole answer under a node: its text, its probability, the score of where it ends (0 for giving up)."""
    for name, child in node.below.items():
        text = before + _said(name, child)
        if child.below:
            yield from _texts(child, text + BOUNDARY, chance * child.chance)
        else:
            yield text, chance * child.chance, child.score or 0.0
    if (rest := 1 - sum(child.chance for child in node.below.values())) > 1e-12:
        yield f"{before}I give up.", chance * rest, 0.0


def _said(step: str, node: Node) -> str:
    return f"Then {step}" if node.below else f"The answer is {step}."


class StepTask(ToyTask):
    """The toy task with the step rule of these worlds."""

    steps = Steps(BOUNDARY, most=8)


class TreeVerifier:
    """Scores an answer so far by the node that it has reached; None where it left the tree, or its node has no score."""

    name = "tree"
    oracle = False
    logprobs: LogprobNeed | None = None
    roles: frozenset[str] = frozenset()

    def __init__(self, world: TreeWorld) -> None:
        self.world = world

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One number per sample."""
        if problem.id not in self.world.trees:
            raise BadInput("is no problem of this world", where=f"problem {problem.id}")
        found = [self.world.node(problem.id, sample.whole) for sample in samples]
        return [None if node is None else node.score for node in found]
