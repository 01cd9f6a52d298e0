"""The two searches that fits are made of, both in unbounded coordinates and from many starts. What to fit is the forms'."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from outthink.laws.parameters import Floats, Parameter, inside, outside

_HUGE = 1e8


def least_squares(residuals: Callable[[Floats], Floats], parameters: Sequence[Parameter], starts: Sequence[Floats]) -> Floats:
    """Values (p,) of least squared residuals (Levenberg-Marquardt), the best over all starts."""

    def finite(coordinates: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return np.nan_to_num(residuals(inside(parameters, coordinates)), nan=_HUGE, posinf=_HUGE, neginf=-_HUGE)

    found = [
        optimize.least_squares(finite, outside(parameters, start), method="lm", ftol=1e-12, xtol=1e-10, gtol=1e-12, max_nfev=2000)
        for start in starts
    ]
    best = inside(parameters, min(found, key=lambda each: float(each.cost)).x)
    return np.array([parameter.settled(float(value)) for parameter, value in zip(parameters, best, strict=True)])


def minimise(cost: Callable[[Floats], float], parameters: Sequence[Parameter], starts: Sequence[Floats]) -> Floats:
    """Values (p,) of least cost, the best over all starts; fixed parameters, which come last, stay where they start.

    The cost must be a sum, not a mean: the stopping rule is in its units, and a mean would end the search too early.
    """
    free = [parameter for parameter in parameters if not parameter.fixed]
    found = []
    for start in starts:
        rest = start[len(free) :]

        def whole(coordinates: Floats, rest: Floats = rest) -> float:
            with np.errstate(all="ignore"):
                value = cost(np.concatenate([inside(free, coordinates), rest]))
            return value if np.isfinite(value) else _HUGE

        made = optimize.minimize(whole, outside(free, start[: len(free)]), method="BFGS", jac="3-point", options={"gtol": 1e-3})
        found.append((float(made.fun), np.concatenate([inside(free, made.x), rest])))
    return min(found, key=lambda each: each[0])[1]
