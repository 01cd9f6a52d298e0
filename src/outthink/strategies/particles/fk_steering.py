"""Feynman-Kac steering over steps: traces are resampled by potentials built from their rewards.

Paper: "A General Framework for Inference-time Scaling and Steering of Diffusion Models", arXiv:2501.06848; the state that is
steered is the answer so far, a reward is its score (or the log-odds or log of its score: `transform`). With the potentials diff,
max, add, rt and is it samples model * exp(strength * reward of the whole answer); they differ in variance only. bon resamples
nothing and takes the best of `width`.
Differs from the official code: max and add reach that law, where the code tilts by the highest and by the sum of the rewards on
the way; weights that led to no resampling are carried on, where the code forgets them (issue 12 there); systematic resampling,
and weights unclipped. compat=True restores the first two; the code's draws are resampling="multinomial", its adaptive rule is
ess=0.5.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.particles import Resampling, Sweep, advance, conclude
from outthink.parts.potentials import Potential


@strategy(
    "fk_steering",
    paper="arXiv:2501.06848",
    title="A General Framework for Inference-time Scaling and Steering of Diffusion Models",
    needs={Needs.SCORES, Needs.STEPS},
)
async def fk_steering(
    run: Run,
    problem: Problem,
    width: int = 8,
    potential: str = "diff",
    strength: float = 10.0,
    transform: str = "identity",
    every: int = 1,
    resampling: str = "systematic",
    ess: float = 1.0,
    finished: str = "frozen",
    rule: str = "best",
    clip: float = 1e-7,
    compat: bool = False,
) -> Selection:
    """Draw `width` traces from the model's law times exp(`strength` * reward), resampled every so many steps."""
    steered = Potential(potential, (strength,), transform, clip, every, compat)
    sweep = Sweep(width, steered, Resampling(resampling, ess, finished, carried=not compat))
    chosen = await conclude(run, problem, [], rule)  # refuses an unknown rule before anything is spent
    while sweep.open:
        if await advance(run, problem, [sweep]):
            chosen = await conclude(run, problem, sweep.particles, rule)
    return chosen
