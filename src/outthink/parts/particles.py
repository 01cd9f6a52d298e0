"""Populations of weighted traces: they grow a step, are weighed by a potential, and are resampled by their weights.

A weight is that of importance sampling from the model towards the law that the potential defines (`outthink.parts.potentials`),
and is never thrown away: resampling m traces into k gives each of the k the sum of the m weights, divided by k. So sums of
weights over all places of a population, divided by their number, are unbiased at any size and in any setting here: of the
weights themselves for the law's normalising constant (`Sweep.log_evidence`), and of those of the traces that end in an answer
for the same constant times the answer's probability. Probabilities alone, ratios of such sums, have a bias that vanishes with
the size. Resampling schemes are `outthink.parts.resampling`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from outthink.core.errors import BadInput, NoAnswer, UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Selection
from outthink.parts.potentials import Potential
from outthink.parts.resampling import RESAMPLERS, Chance, drawn, effective, log_sum, relative, resampled
from outthink.parts.traces import ROOT, Trace, choose, grow, rate
from outthink.parts.voting import Tally


@dataclass(frozen=True, slots=True)
class Particle:
    """A trace and the log of its weight; `log_product`: of all potentials along it."""

    trace: Trace = ROOT
    log_weight: float = 0.0
    log_product: float = 0.0


FINISHED = ("frozen", "resampled", "again")


@dataclass(frozen=True, slots=True)
class Resampling:
    """When and how a population is resampled. Equal weights never are.

    scheme:   one of `RESAMPLERS`
    ess:      resampled where the effective sample size is at most this part of the places in question; 1: always, 0: never
    finished: what becomes of traces that have ended while others go on. "frozen": they stay, with their weights, and the others
              are resampled among themselves; "resampled": all are, together; "again": all are, and what has ended is weighed
              by its last potential each time anew and equal weights are resampled too (as official codes do; it favours traces
              that end early, and the law isn't the potential's)
    carried:  False: weights that led to no resampling are forgotten, as official codes do; the law isn't the potential's

    Raises UnknownName, BadInput.
    """

    scheme: str = "systematic"
    ess: float = 1.0
    finished: str = "frozen"
    carried: bool = True

    def __post_init__(self) -> None:
        if self.scheme not in RESAMPLERS:
            raise UnknownName("resampling scheme", self.scheme, RESAMPLERS)
        if self.finished not in FINISHED:
            raise UnknownName("rule for finished traces", self.finished, FINISHED)
        if not 0 <= self.ess <= 1:
            raise BadInput(f"ess is {self.ess} and must be between 0 and 1", where="resampling")


class Sweep:
    """One pass of a population from nothing to its traces' ends.

    size:      its places
    reference: a trace that keeps the first place, step by step, as a particle Gibbs sampler asks for: conditional sequential
               Monte Carlo (Andrieu, Doucet and Holenstein 2010). None: plain sequential Monte Carlo

    Raises BadInput.
    """

    def __init__(self, size: int, potential: Potential, resampling: Resampling, reference: Trace | None = None) -> None:
        if size < 1 + (reference is not None):
            raise BadInput(f"{size} is too small: a population needs a trace, and one more beside a reference", where="width")
        self.size, self.potential, self.resampling, self.reference = size, potential, resampling, reference
        self.particles = [Particle()] * size
        self.depth = 0

    @property
    def open(self) -> bool:
        """Whether a trace can go on."""
        return any(particle.trace.ended is None for particle in self.particles)

    @property
    def log_evidence(self) -> float:
        """The log of an unbiased estimate of the law's normalising constant, as of the last step."""
        return log_sum([particle.log_weight for particle in self.particles]) - math.log(self.size)

    def growing(self) -> list[Trace]:
        """The traces that need a step; a reference knows its own."""
        free = self.particles if self.reference is None else self.particles[1:]
        return [particle.trace for particle in free if particle.trace.ended is None]

    def take(self, grown: Iterator[Trace | None], chance: Chance) -> None:
        """Go on by one step: `grown` gives the traces of `growing`, each a step longer, with scores where they are due.

        What failed (None) leaves its weight to the others that grew; what can't have any weight is dropped. Their places are
        filled at the next resampling. Raises NoAnswer where nothing is left.
        """
        self.depth += 1
        alive = [particle.trace.ended is None for particle in self.particles]
        steps = [self._step(at, grown) if goes_on else None for at, goes_on in enumerate(alive)]
        arrived = len(steps) - steps.count(None)
        share = math.log(sum(alive) / arrived) if arrived else 0.0
        moved = []
        for particle, goes_on, step in zip(self.particles, alive, steps, strict=True):
            if step is not None:
                moved.append(self._weighed(replace(particle, trace=step, log_weight=particle.log_weight + share)))
            elif not goes_on:
                moved.append(self._weighed(particle) if self.resampling.finished == "again" else particle)
        self.particles = [particle for particle in moved if particle.log_weight > -math.inf]
        if not self.particles:
            why = "the verifier scored none of them" if moved else "the next step of each failed"
            raise NoAnswer(f"all {self.size} traces are lost at step {self.depth}: {why}")
        if self.open and self.depth % self.potential.every == 0:
            self._resample(chance)
        if self.open and not self.growing():
            self.take(iter(()), chance)  # the reference alone goes on, at no cost

    def _step(self, at: int, grown: Iterator[Trace | None]) -> Trace | None:
        return next(grown) if at or self.reference is None else self.reference.cut(self.depth)

    def _weighed(self, particle: Particle) -> Particle:
        if not self.potential.due(particle.trace):
            return particle
        log = self.potential.log(particle.trace, particle.log_product)
        return replace(particle, log_weight=particle.log_weight + log, log_product=particle.log_product + log)

    def _resample(self, chance: Chance) -> None:
        rule = self.resampling
        stays = [rule.finished == "frozen" and particle.trace.ended is not None for particle in self.particles]
        rest = [particle for particle, stay in zip(self.particles, stays, strict=True) if stay]
        pool = [particle for particle, stay in zip(self.particles, stays, strict=True) if not stay]
        count, logs = self.size - len(rest), [particle.log_weight for particle in pool]
        weights = relative(logs)
        equal = len(pool) == count and min(weights) == 1
        if rule.finished == "again" or not (equal or effective(weights) > rule.ess * count):
            mean = log_sum(logs) - math.log(count)
            kept = self.reference is not None and not stays[0]
            parents = (
                _conditional(rule.scheme, weights, count, chance) if kept else resampled(rule.scheme, weights, count, chance)
            )
            pool = [replace(pool[parent], log_weight=mean) for parent in parents]
        elif not rule.carried:
            mean = log_sum(logs) - math.log(len(pool))
            pool = [replace(particle, log_weight=mean) for particle in pool]
        # A reference stays first.
        self.particles = [*rest, *pool] if stays[0] else [*pool, *rest]


def _conditional(scheme: str, weights: Sequence[float], count: int, chance: Chance) -> list[int]:
    """Parents of which the first is the first place. In random order, so that no place stands out but this one."""
    order = sorted(range(len(weights)), key=lambda _: chance.random())
    parents = [order[at] for at in resampled(scheme, [weights[at] for at in order], count, chance, order.index(0))]
    parents.remove(0)
    return [0, *parents]


async def advance(run: Run, problem: Problem, sweeps: Sequence[Sweep]) -> bool:
    """Take sweeps with the same resampling points one step on, all at once; whether a trace ended.

    Raises what growing and scoring raise, and `Sweep.take`.
    """
    asked = [trace for sweep in sweeps for trace in sweep.growing()]
    arrived = [None if trace is None or trace.ended is Finish.CANCELLED else trace for trace in await grow(run, problem, asked)]
    due = [trace is not None and sweeps[0].potential.due(trace) for trace in arrived]
    rated = iter(await rate(run, problem, [trace for trace, now in zip(arrived, due, strict=True) if trace is not None and now]))
    grown = iter([next(rated) if now else trace for trace, now in zip(arrived, due, strict=True)])
    for sweep in sweeps:
        sweep.take(grown, run.rng())
    return any(
        particle.trace.ended is not None and particle.trace.depth == sweep.depth
        for sweep in sweeps
        for particle in sweep.particles
    )


def normalised(particles: Sequence[Particle]) -> list[Particle]:
    """The same with weights that sum to 1."""
    total = log_sum([particle.log_weight for particle in particles])
    return [replace(particle, log_weight=particle.log_weight - total) for particle in particles]


def one_of(particles: Sequence[Particle], chance: Chance) -> Trace:
    """A trace, drawn by weight."""
    return particles[drawn(relative([particle.log_weight for particle in particles]), chance)].trace


RULES = ("best", "weighted", "sample")
"""How a population chooses: the best-scored trace, the answer of the greatest sum of weights, or a trace drawn by weight."""


async def conclude(run: Run, problem: Problem, particles: Sequence[Particle], rule: str = "best") -> Selection:
    """The answer of the traces that have ended, by one of `RULES`; offered too.

    Weighted votes, and the confidence in a drawn trace's answer, estimate probabilities under the law, given a valid answer.
    Raises UnknownName.
    """
    if rule not in RULES:
        raise UnknownName("rule", rule, RULES)
    ended = [particle for particle in particles if particle.trace.ended is not None]
    if rule == "best" or not ended:
        return await choose(run, problem, [particle.trace for particle in ended])
    answers = await run.answers(problem, [particle.trace.steps[-1] for particle in ended])
    heard = [(particle, answer) for particle, answer in zip(ended, answers, strict=True) if answer.valid]
    if not heard:
        return Selection(None)
    votes = Tally()
    for particle, (_, answer) in zip(normalised([particle for particle, _ in heard]), heard, strict=True):
        votes.add(particle.trace.steps[-1], answer, math.exp(particle.log_weight), particle.trace.score)
    chosen = votes.selection()
    if rule == "sample":
        at = drawn(relative([particle.log_weight for particle, _ in heard]), run.rng())
        text, name = heard[at][1].text, heard[at][1].answer_class
        share = chosen.votes[name or ""]
        chosen = replace(chosen, answer=text, answer_class=name, confidence=share, sample=heard[at][0].trace.steps[-1], tie=False)
    run.offer(chosen)
    return chosen
