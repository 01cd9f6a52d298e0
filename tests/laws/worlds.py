"""Counts and curves drawn from known laws."""

from __future__ import annotations

import numpy as np

from outthink.laws.data import Counts, Curve
from outthink.laws.forms import form


def beta_counts(alpha: float, beta: float, *, problems: int = 128, n: int = 200, scale: float = 1.0, seed: int = 0) -> Counts:
    rng = np.random.default_rng(seed)
    return Counts.of(n, rng.binomial(n, scale * rng.beta(alpha, beta, problems)))


def curve_of(name: str, values: tuple[float, ...], *, last: float = 1000.0, noise: float = 0.0, seed: int = 0) -> Curve:
    """Twenty points of a form; noise: standard deviation of independent errors, which are said."""
    x = np.geomspace(1, last, 20)
    y = form(name).value(np.array(values), x) + noise * np.random.default_rng(seed).normal(size=20)
    return Curve.of(x, np.clip(y, 0, 1), error=np.full(20, noise) if noise else None)
