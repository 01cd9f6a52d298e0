"""Parallel tempering over steps: particle Gibbs samplers at several temperatures, whose reference traces change places.

Paper: "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
arXiv:2502.01618. The last chain, the coldest, samples the law of `particle_filter` with the same `target` at its temperature;
hotter ones explore, and neighbours exchange references by the Metropolis rule after each iteration.
Differs from the official codes, which hold no exchange (the paper measured chains of one iteration, where there is none): it is
built as the paper describes it. By the rules "weighted" and "sample" only the coldest chain's traces choose, by "best" all do.
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
from outthink.parts.tempering import descending, exchanged
from outthink.parts.traces import Trace


@strategy(
    "parallel_tempering",
    paper="arXiv:2502.01618",
    title="A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
    needs={Needs.SCORES, Needs.STEPS},
)
async def parallel_tempering(
    run: Run,
    problem: Problem,
    width: int = 4,
    temperatures: tuple[float, ...] = (2.0, 1.0),
    iterations: int = 2,
    target: str = "product",
    resampling: str = "systematic",
    ess: float = 1.0,
    finished: str = "frozen",
    rule: str = "best",
    clip: float = 1e-7,
) -> Selection:
    """Run a chain of particle filters of `width` traces at each temperature, side by side."""
    descending(temperatures)
    if iterations < 1 or (iterations > 1 and width < 2):
        raise BadInput(f"{iterations} iterations of width {width}: 1 or more; of width 2 or more where several", where="width")
    potentials, how = [aimed(target, (temperature,), clip) for temperature in temperatures], Resampling(resampling, ess, finished)
    chosen = await conclude(run, problem, [], rule)  # refuses an unknown rule before anything is spent
    before, references = list[Particle](), list[Trace | None]([None] * len(temperatures))
    for _ in range(iterations):
        chains = [Sweep(width, potential, how, kept) for potential, kept in zip(potentials, references, strict=True)]
        heard = chains if rule == "best" else chains[-1:]
        while going := [chain for chain in chains if chain.open]:
            if await advance(run, problem, going):
                now = [particle for chain in heard for particle in normalised(chain.particles)]
                chosen = await conclude(run, problem, [*before, *now], rule)
        before += [particle for chain in heard for particle in normalised(chain.particles)]
        drawn = [one_of(chain.particles, run.rng()) for chain in chains]
        references = [*exchanged(drawn, temperatures, aimed(target, clip=clip), run.rng())]
    return chosen
