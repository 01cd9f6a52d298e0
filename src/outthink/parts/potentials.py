"""Feynman-Kac potentials: what a particle's weight is multiplied by at each resampling point, from the scores of its trace.

The rewards of a trace are its scores at these points, transformed; at the last point, its end, it is a whole answer with reward
r(x). With the model's own probability p(x), the potentials' products G along whole traces define the law that is sampled:
p(x) * G / Z. In each form the strength (lambda, or 1 / temperature) multiplies the rewards:

    form  on the way                      at the end                  product along a trace
    diff  exp(r - reward before)          the same                    exp(r(x))
    max   exp(highest reward so far)      exp(r(x)) / product so far  exp(r(x))
    add   exp(sum of rewards so far)      exp(r(x)) / product so far  exp(r(x))
    rt    exp(r)                          exp(r(x)) / product so far  exp(r(x))
    is    1                               exp(r(x))                   exp(r(x))
    bon   1                               1                           1
    step  exp(r)                          exp(r)                      exp(sum of all rewards)

Paper: "A General Framework for Inference-time Scaling and Steering of Diffusion Models", arXiv:2501.06848; `step` is that of
particle filtering, arXiv:2502.01618. How populations are weighed and resampled lives in `outthink.parts.particles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from outthink.core.errors import BadInput, UnknownName
from outthink.parts.traces import Trace

FORMS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "diff": lambda rewards: rewards[-1] - rewards[-2],
    "max": max,
    "add": math.fsum,
    "rt": lambda rewards: rewards[-1],
    "is": lambda rewards: 0.0,
    "bon": lambda rewards: 0.0,
    "step": lambda rewards: rewards[-1],
}
"""The log of each form on the way, from the rewards so far (before them one of 0), for strength 1."""

_CORRECTED = frozenset({"max", "add", "rt", "is"})

TRANSFORMS = ("identity", "logit", "log")


@dataclass(frozen=True, slots=True)
class Potential:
    """The potentials of one law.

    form:      one of `FORMS`
    strengths: of the first resampling point, the second ...; the last goes on for all further ones. But for `step`, it is also
               that of a trace's end, wherever that is: the others move the variance, and not the law
    transform: what makes a reward of a score: "identity"; "logit", ln(s / (1 - s)), with s held in [clip, 1 - clip]; "log",
               with s held in [clip, 1]
    clip:      see there; in (0, 0.5)
    every:     steps between resampling points; the end of a trace always is one
    compat:    as the official code: max starts from 0, and max and add end with the highest reward and the sum of rewards in
               place of r(x), so that these tilt the law instead

    Raises UnknownName, BadInput.
    """

    form: str = "diff"
    strengths: tuple[float, ...] = (1.0,)
    transform: str = "identity"
    clip: float = 1e-7
    every: int = 1
    compat: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UnknownName("potential", self.form, FORMS)
        if self.transform not in TRANSFORMS:
            raise UnknownName("transform", self.transform, TRANSFORMS)
        if not self.strengths or not all(math.isfinite(strength) for strength in self.strengths):
            raise BadInput(f"strengths are {self.strengths!r} and must be finite numbers, one or more", where="potential")
        if not 0 < self.clip < 0.5 or self.every < 1:
            raise BadInput(f"clip is {self.clip} (in (0, 0.5)), every is {self.every} (1 or more)", where="potential")

    def due(self, trace: Trace) -> bool:
        """Whether a trace is at a resampling point, and so needs a score."""
        return trace.ended is not None or trace.depth % self.every == 0

    def log(self, trace: Trace, product: float = 0.0) -> float:
        """The log of the potential at a trace's last point; -inf where the verifier couldn't score it.

        product: the log of the product of the potentials before
        """
        rewards = self._rewards(trace)
        if rewards[-1] == -math.inf:
            return -math.inf
        last = trace.ended is not None and self.form != "step"
        strength = self.strengths[-1 if last else min(len(rewards), len(self.strengths) + 1) - 2]
        if self.form == "diff" and not self.compat:
            return strength * rewards[-1] - product  # the difference, and exact where the strength changes
        on_the_way = FORMS[self.form](rewards if self.compat or self.form != "max" else rewards[1:])
        if not last or self.form not in _CORRECTED:
            return strength * on_the_way
        running = self.compat and self.form in ("max", "add")
        return strength * (on_the_way if running else rewards[-1]) - product

    def total(self, trace: Trace) -> float:
        """The log of the product of all potentials along a trace."""
        product = 0.0
        for depth in range(1, trace.depth + 1):
            at = trace.cut(depth)
            if self.due(at):
                product += self.log(at, product)
        return product

    def _rewards(self, trace: Trace) -> list[float]:
        scores = [trace.scores[depth - 1] for depth in range(self.every, trace.depth + 1, self.every)]
        if trace.depth % self.every:
            scores.append(trace.scores[-1])
        return [0.0, *map(self._reward, scores)]

    def _reward(self, score: float | None) -> float:
        if score is None:
            return -math.inf
        if not math.isfinite(score) or (self.transform != "identity" and not 0 <= score <= 1):
            wanted = (
                "must be finite"
                if self.transform == "identity"
                else f"is no probability, and its {self.transform} is needed; calibrate the verifier (its setting calibration), "
                "give another one, or use fk_steering with transform=identity"
            )
            raise BadInput(f"a score of {score!r} {wanted}", where="verifier")
        if self.transform == "identity":
            return score
        held = max(score, self.clip)
        return math.log(held) if self.transform == "log" else _logit(min(held, 1 - self.clip))


def _logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)


TARGETS: Mapping[str, tuple[str, str]] = {"product": ("step", "logit"), "final": ("diff", "logit"), "bernoulli": ("step", "log")}
"""Laws of particle filters: prior times the product of the odds of all scores, the odds of the last score, or the product of all
scores (every step was accepted, if each is by a coin of its score). Form and transform of each."""


def aimed(target: str, temperatures: Sequence[float] = (1.0,), clip: float = 1e-7) -> Potential:
    """The potential of one of `TARGETS`, each factor to the power 1 / temperature.

    temperatures: above 0; of the first step, the second ...; the last goes on

    Raises UnknownName, BadInput.
    """
    if target not in TARGETS:
        raise UnknownName("target", target, TARGETS)
    if not temperatures or not all(temperature > 0 for temperature in temperatures):
        raise BadInput(f"temperatures are {tuple(temperatures)!r} and must be above 0", where="target")
    form, transform = TARGETS[target]
    return Potential(form, tuple(1 / temperature for temperature in temperatures), transform, clip)
