"""Laws of real counts are those that were published or worked out from them elsewhere; benchmarks/fidelity_laws.py has all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from outthink.laws.data import Counts
from outthink.laws.forms import form
from outthink.laws.forms.beta_binomial import BetaBinomial
from tests.shared_data import shared


def recorded(model: str) -> Counts:
    rows = pl.read_parquet(shared("pools/counts_matrices.parquet")).filter(
        (pl.col("source") == "large-language-monkeys") & (pl.col("model") == model)
    )
    return Counts.of(rows["n"].to_numpy(), rows["c"].to_numpy(), name=model)


@pytest.mark.parametrize(
    ("model", "coverage", "line", "beta"),
    [
        ("Pythia 12B", (0.0232, 0.1568, 0.4834, 0.7233, 0.8750), (4.18, 0.372), (0.296, 12.4)),
        ("Pythia 1B", (0.0083, 0.0665, 0.2745, 0.5462, 0.7422), (5.44, 0.314), (0.216, 25.5)),
        ("Pythia 70M", (0.0006, 0.0060, 0.0361, 0.1241, 0.2656), (7.94, 0.193), (0.065, 100.0)),
    ],
)
def test_large_language_monkeys(model: str, coverage: object, line: tuple[float, float], beta: tuple[float, float]) -> None:
    counts = recorded(model)
    assert counts.curve(5)[1] == pytest.approx(np.array(coverage), abs=5.1e-5)
    # the published grid of k isn't stated to the point
    assert form("power_law").fit(counts) == pytest.approx(np.array(line), rel=0.012)
    assert BetaBinomial(prior=False).fit(counts) == pytest.approx(np.array(beta), rel=0.006)


def test_a_hundred_samples_foretell_ten_thousand() -> None:
    counts = recorded("Pythia 12B")
    seen, rng = form("power_law"), np.random.default_rng(0)
    foretold = [float(seen.value(seen.fit(counts.upto(100, rng)), np.array([1e4]))[0]) for _ in range(5)]
    assert np.mean(foretold) == pytest.approx(0.875, abs=0.04)
