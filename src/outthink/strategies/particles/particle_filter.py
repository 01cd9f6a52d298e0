"""Particle filter over steps: every trace grows a step, then traces are drawn again in proportion to the odds of their scores.

Paper: "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
arXiv:2502.01618. What it samples, with p the model and s_t the score of the answer after step t (a probability), is the parameter
`target`: "product", p * product of odds(s_t)^(1/temperature), is what the published runs sample; "final", p * odds(s_T), bends by
the whole answer's score alone; "bernoulli", p * product of s_t, is what the paper derives. Products favour many steps where odds
are above 1, so with rules other than "best" prefer "final".
Differs from the official codes: traces that have ended keep their weights and their places (`finished`), where those draw them
again and again, so that answers which end early gain weight each time (compat=True, with resampling="multinomial"); systematic
resampling; scores are held in [clip, 1 - clip], where the paper's code clips at 2e-16.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.particles import Resampling, Sweep, advance, conclude
from outthink.parts.potentials import aimed


@strategy(
    "particle_filter",
    paper="arXiv:2502.01618",
    title="A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based Monte Carlo Methods",
    needs={Needs.SCORES, Needs.STEPS},
)
async def particle_filter(
    run: Run,
    problem: Problem,
    width: int = 8,
    target: str = "product",
    temperature: float = 1.0,
    annealed: tuple[float, ...] = (),
    resampling: str = "systematic",
    ess: float = 1.0,
    finished: str = "frozen",
    rule: str = "best",
    clip: float = 1e-7,
    compat: bool = False,
) -> Selection:
    """Draw `width` traces from a law bent by their scores; `annealed`: temperatures of the first steps."""
    potential = aimed(target, (*annealed, temperature), clip)
    sweep = Sweep(width, potential, Resampling(resampling, ess, "again" if compat else finished))
    chosen = await conclude(run, problem, [], rule)  # refuses an unknown rule before anything is spent
    while sweep.open:
        if await advance(run, problem, [sweep]):
            chosen = await conclude(run, problem, sweep.particles, rule)
    return chosen
