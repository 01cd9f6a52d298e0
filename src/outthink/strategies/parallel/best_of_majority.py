"""Best-of-majority: only answers that come often enough may win, and among them the best-scored do; hands in k of them.

Paper: "Best-of-Majority: Minimax-Optimal Strategy for Pass@k Inference Scaling", arXiv:2510.03199 (alpha 0.015 at n = 100, 0.005
for more; theory 3 / (4 C)). alpha below 1/n keeps every answer: best-of-n. No official code is known.
Where the paper is silent: an answer's score is that of its best sample (pooled="mean": their mean); fewer than k answers that
came often enough are followed by the others, the most frequent first; none at all leaves the majority; shares are of valid
answers. Ours: `least` samples that an answer needs whatever alpha says, since a single sample is no evidence of a share.
Only samples of answers that pass are scored. It chooses once among all samples.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import gating
from outthink.parts.anytime import drawn_to_score, scored
from outthink.parts.voting import growing


@strategy(
    "best_of_majority",
    paper="arXiv:2510.03199",
    title="Best-of-Majority: Minimax-Optimal Strategy for Pass@k Inference Scaling",
    needs={Needs.SCORES},
    curve=False,
)
async def best_of_majority(
    run: Run,
    problem: Problem,
    n: int | None = None,
    k: int = 1,
    alpha: float = 0.015,
    least: int = 1,
    pooled: str = "best",
    quorum: int = 1,
) -> Selection:
    """The k best-scored of the answers that at least a share alpha of n samples gives."""
    if pooled not in gating.POOLED:
        raise UnknownName("pooling of best_of_majority", pooled, gating.POOLED)
    if k < 1 or least < 1 or not 0 <= alpha <= 1:
        raise BadInput(f"k = {k} and least = {least} must be 1 or more and alpha = {alpha} in [0, 1]", where="best_of_majority")
    samples = await drawn_to_score(run, problem, n, quorum=quorum)
    answers = await run.answers(problem, samples)
    *_, majority = growing(samples, answers)
    run.offer(majority)
    passed = gating.frequent(majority.votes, alpha, least) or list(majority.votes)[:1]
    kept = [at for at, answer in enumerate(answers) if answer.answer_class in passed]
    if not kept:
        return majority
    voters, heard = [samples[at] for at in kept], [answers[at] for at in kept]
    scores = await scored(run, problem, voters, heard)
    chosen = gating.handed_in(gating.best(voters, heard, scores, gating.POOLED[pooled]), majority, k)
    run.offer(chosen)
    return chosen
