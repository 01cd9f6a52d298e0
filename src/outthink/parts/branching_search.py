"""AB-MCTS's loop: choose where the next answers go, ask for them, score them, tell the tree. Both variants are bound from it."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.errors import BadInput, QuorumNotMet, UnknownName
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.parts import prompts
from outthink.parts.adaptive_branching import Choose, Tried, add, next_parent, next_role, tree
from outthink.parts.beliefs import BELIEFS
from outthink.parts.drawing import HOPELESS_RUN
from outthink.parts.voting import Best

POLICIES = ("thompson", "ucb")


async def search(
    run: Run, problem: Problem, n: int | None, choose: Choose, *, prior: str, roles: Sequence[str], policy: str, width: int
) -> Selection:
    """The best-scored of n answers, fresh ones and refined ones (None: until the budget ends the run).

    choose: the child of a node to go on with, or None: a new one
    prior:  of `BELIEFS`;  roles: models that take turns by `policy`;  width: answers asked for at once

    Raises BadInput for scores outside [0, 1] and wrong settings, UnknownName; QuorumNotMet where no answer ever arrives.
    """
    for name, known, what in ((prior, BELIEFS, "prior"), (policy, POLICIES, "policy")):
        if name not in known:
            raise UnknownName(what, name, known)
    if width < 1 or not roles or len(set(roles)) < len(roles):
        raise BadInput("width must be 1 or more; there must be a role, and none twice", where="ab_mcts")
    if n is None and not run.left.limits():
        raise BadInput("n=None fills the budget, and there is none; give a budget such as '16 samples'", where="n")
    belief, chance, votes = BELIEFS[prior], run.rng(), Best()
    root, told, asked, failures = tree(belief), list[tuple[str, float]](), 0, list[str]()
    while n is None or asked < n:
        parents = [next_parent(root, choose, chance) for _ in range(width if n is None else min(width, n - asked))]
        asked += len(parents)
        for role, group in _by_role(parents, [next_role(roles, told, policy, belief, chance) for _ in parents]):
            try:
                samples = await run.generate([_asked(run, problem, parent) for parent in group], role=role)
            except QuorumNotMet as none:
                failures += none.failed
                if len(failures) >= HOPELESS_RUN or (n is not None and asked >= n and not told):
                    raise
                continue
            failures.clear()
            answers = await run.answers(problem, samples)
            scores = [0.0 if score is None else score for score in await run.score(problem, samples)]
            for sample, answer, score in zip(samples, answers, scores, strict=True):
                if not 0 <= score <= 1:
                    raise BadInput(f"a score of {score!r} is not in [0, 1], which the prior is made for", where="verifier")
                add(group[sample.key.index], sample, score, belief)
                told.append((role, score))
                votes.add(sample, answer, score, score)
            run.offer(votes.leading())
    return votes.selection()


def _by_role(parents: Sequence[Tried], roles: Sequence[str]) -> list[tuple[str, list[Tried]]]:
    return [(role, [parent for parent, its in zip(parents, roles, strict=True) if its == role]) for role in dict.fromkeys(roles)]


def _asked(run: Run, problem: Problem, parent: Tried) -> Prompt:
    """A fresh answer under the root; elsewhere the parent's answer, improved."""
    prompt = run.prompt(problem)
    if parent.sample is None:
        return prompt
    ask = prompts.filled(prompts.IMPROVE, score=f"{parent.score:.2f}")
    return prompts.answered(prompts.conversation(prompt), parent.sample.whole, ask)
