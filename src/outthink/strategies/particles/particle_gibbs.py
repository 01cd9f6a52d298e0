"""Particle Gibbs over steps: particle filters one after another, each around a trace that the one before it chose.

Paper: "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
arXiv:2502.01618. Its law is that of `particle_filter` with the same `target`: the reference traces are a Markov chain with this
very law as its stationary one, whatever the width (conditional sequential Monte Carlo, Andrieu, Doucet and Holenstein 2010).
Differs from the official codes: resampling is conditional on the reference's survival also where draws are not independent; the
reference is weighed at each step by its score there (one code takes its last, the other its next); traces of all iterations
choose, each iteration with the same weight (there: of the last).
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.particles import Particle, Resampling, Sweep, advance, conclude, normalised, one_of
from outthink.parts.potentials import aimed


@strategy(
    "particle_gibbs",
    paper="arXiv:2502.01618",
    title="A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
    needs={Needs.SCORES, Needs.STEPS},
)
async def particle_gibbs(
    run: Run,
    problem: Problem,
    width: int = 8,
    iterations: int = 2,
    target: str = "product",
    temperature: float = 1.0,
    resampling: str = "systematic",
    ess: float = 1.0,
    finished: str = "frozen",
    rule: str = "best",
    clip: float = 1e-7,
) -> Selection:
    """Run `iterations` particle filters of `width` traces, each around a trace drawn from the one before."""
    if iterations < 1 or (iterations > 1 and width < 2):
        raise BadInput(f"{iterations} iterations of width {width}: 1 or more; of width 2 or more where several", where="width")
    potential, how = aimed(target, (temperature,), clip), Resampling(resampling, ess, finished)
    chosen = await conclude(run, problem, [], rule)  # refuses an unknown rule before anything is spent
    before, reference = list[Particle](), None
    for _ in range(iterations):
        sweep = Sweep(width, potential, how, reference)
        while sweep.open:
            if await advance(run, problem, [sweep]):
                chosen = await conclude(run, problem, [*before, *normalised(sweep.particles)], rule)
        before += normalised(sweep.particles)
        reference = one_of(sweep.particles, run.rng())
    return chosen
