"""Published figures of scaling laws against ours, row by row, on recorded counts and pools.

    OUTTHINK_SHARED_DATA=folder python benchmarks/fidelity_laws.py [--slow]

A row without a tolerance is shown for reading; one beyond its tolerance makes the exit code 1. `--slow` adds the coverage of
forecast intervals (some minutes).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from outthink.evaluation.pool import Pool
from outthink.evaluation.schema import RECORDED_POOLS
from outthink.laws.data import Counts, Curve
from outthink.laws.exponent import METHODS
from outthink.laws.fit import fit
from outthink.laws.forms import Form, form
from outthink.laws.forms.beta_binomial import BetaBinomial
from outthink.laws.read import from_pool
from outthink.laws.saturation import saturation, saturation_point

MODELS = ("12B", "6.9B", "2.8B", "1B", "410M", "160M", "70M")

COVERAGE = {  # arXiv:2407.21787's data, MATH, 128 problems x 10,000 samples: pass@1 ... pass@10,000, problems never solved
    "12B": (0.0232, 0.1568, 0.4834, 0.7233, 0.8750, 16),
    "6.9B": (0.0186, 0.1314, 0.4316, 0.6877, 0.8359, 21),
    "2.8B": (0.0203, 0.1348, 0.4220, 0.6778, 0.8125, 24),
    "1B": (0.0083, 0.0665, 0.2745, 0.5462, 0.7422, 33),
    "410M": (0.0062, 0.0517, 0.2272, 0.4818, 0.6562, 44),
    "160M": (0.0027, 0.0251, 0.1619, 0.4102, 0.5703, 55),
    "70M": (0.0006, 0.0060, 0.0361, 0.1241, 0.2656, 94),
}
LAWS = {  # arXiv:2502.17578's estimators on the same counts: a, b of the line through log(-log); alpha, beta by likelihood
    "12B": (4.18, 0.372, 0.296, 12.4),
    "6.9B": (4.36, 0.351, 0.270, 14.2),
    "2.8B": (4.20, 0.339, 0.246, 11.7),
    "1B": (5.44, 0.314, 0.216, 25.5),
    "410M": (5.58, 0.288, 0.180, 28.7),
    "160M": (6.73, 0.283, 0.176, 65.6),
    "70M": (7.94, 0.193, 0.065, 100.0),
}
FORECASTS: dict[str, tuple[Form, float, float]] = {  # mean absolute error of pass@10,000 foretold from 100 and 1,000 samples
    "power_law": (form("power_law"), 0.026, 0.027),
    "exponentiated_power_law": (form("exponentiated_power_law"), 0.039, 0.037),
    "saturating_power_law": (form("saturating_power_law"), 0.046, 0.035),
    "beta_binomial, no prior": (BetaBinomial(prior=False), 0.066, 0.029),
    "beta_binomial, prior": (BetaBinomial(), 0.049, 0.026),
    "scaled_beta_binomial": (form("scaled_beta_binomial"), 0.057, 0.032),
    "log_linear": (form("log_linear"), 0.158, 0.091),
    "log_sigmoid": (form("log_sigmoid"), 0.166, 0.077),
}
EXPONENTS = {  # relative error of the exponent, 128 problems, n = 100 / 1,000 / 10,000; "line" and "beta"
    (0.15, 3.5, 1.0): ((0.86, 0.68, 0.58), (0.14, 0.12, 0.12)),
    (0.4, 3.5, 1.0): ((0.16, 0.16, 0.17), (0.10, 0.09, 0.08)),
    (0.4, 3.5, 0.1): ((0.05, 0.13, 0.13), (0.35, 0.21, 0.13)),
}
O1 = {  # o1-mini on AIME 2024, tokens: accuracy (hughbzhang/o1_inference_scaling_laws)
    363: 0.2, 420: 0.267, 471: 0.2, 1106: 0.433, 2194: 0.367, 5355: 0.4, 8668: 0.6, 11104: 0.533, 22034: 0.533, 42868: 0.675,
    88448: 0.7,
}  # fmt: skip


@dataclass
class Row:
    """One figure. tolerance: absolute, or None where theirs depends on draws or choices that aren't stated."""

    what: str
    theirs: float
    ours: float
    tolerance: float | None = None

    @property
    def off(self) -> bool:
        return self.tolerance is not None and not abs(self.ours - self.theirs) <= self.tolerance


def coverage(counts: dict[str, Counts]) -> Iterator[Row]:
    for model, (*figures, unsolved) in COVERAGE.items():
        found = counts[model]
        k, y = found.curve(5)
        assert k.tolist() == [1, 10, 100, 1000, 10_000]
        yield from (Row(f"{model} pass@{at:g}", t, o, 5.1e-5) for at, t, o in zip(k, figures, y.tolist(), strict=True))
        yield Row(f"{model} never solved", unsolved, int((found.c == 0).sum()), 0)


def laws(counts: dict[str, Counts]) -> Iterator[Row]:
    for model, (a, b, alpha, beta) in LAWS.items():
        line, likelihood = form("power_law").fit(counts[model]), BetaBinomial(prior=False).fit(counts[model])
        # Their grid of k isn't stated to the point; ours moves a by 1 % and b by .002.
        yield Row(f"{model} a of -log = a k^-b", a, float(line[0]), 0.012 * a)
        yield Row(f"{model} b", b, float(line[1]), 0.002)
        yield Row(f"{model} alpha of the Beta-binomial", alpha, float(likelihood[0]), 0.0006)
        yield Row(f"{model} beta", beta, float(likelihood[1]), 0.006 * beta)


def forecasts(counts: dict[str, Counts], seeds: int = 10) -> Iterator[Row]:
    for name, (made, *figures) in FORECASTS.items():
        for n, theirs in zip((100, 1000), figures, strict=True):
            errors = []
            for found in counts.values():
                truth = float((found.c > 0).mean())
                for seed in range(seeds):
                    values = made.fit(found.upto(n, np.random.default_rng(seed)))
                    errors.append(abs(float(made.value(values, np.array([1e4]))[0]) - truth))
            # Theirs is one draw of the samples, ours the mean of several; the scale's rule differs for the scaled form.
            yield Row(f"error of pass@10,000 from n = {n}: {name}", theirs, float(np.mean(errors)))


def exponents(seeds: int = 12) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    for (alpha, beta, scale), figures in EXPONENTS.items():
        for at, n in enumerate((100, 1000, 10_000)):
            drawn = [Counts.of(n, rng.binomial(n, scale * rng.beta(alpha, beta, 128))) for _ in range(seeds)]
            for method, theirs in (("line", figures[0][at]), ("beta", figures[1][at])):
                ours = float(np.mean([abs(METHODS[method](each) / alpha - 1) for each in drawn]))
                yield Row(f"relative error of {scale:g} Beta({alpha:g}, {beta:g}), n = {n}: {method}", theirs, ours, 0.12)
            for method in ("scaled_beta", "bins"):
                ours = float(np.mean([abs(METHODS[method](each) / alpha - 1) for each in drawn]))
                yield Row(f"relative error of {scale:g} Beta({alpha:g}, {beta:g}), n = {n}: {method}", math.nan, ours)


def worked() -> Iterator[Row]:
    beta = BetaBinomial()
    for k, theirs in zip((1, 10, 100, 1000, 10_000), (0.1304, 0.4415, 0.7084, 0.8532, 0.9264), strict=True):
        yield Row(
            f"coverage of Beta(.3, 2) at {k}", theirs, float(beta.value(np.array([0.3, 2.0]), np.array([float(k)]))[0]), 5.1e-5
        )
    for k, theirs in zip((10, 100, 1000, 10_000), (1.5064, 0.60232, 0.26306, 0.12349), strict=True):
        ours = -math.log(float(beta.value(np.array([0.3, 8.0]), np.array([float(k)]))[0]))
        yield Row(f"-log coverage of Beta(.3, 8) at {k}", theirs, ours, 5.1e-5)
    for p, ceiling, gain, n in ((0.3, 1, 0.01, 10), (0.3, 0.8, 0.01, 9), (0.1, 0.9, 0.005, 28), (0.02, 1, 0.001, 149)):
        yield Row(
            f"TTSPM saturation point, p = {p}, ceiling = {ceiling}, gain = {gain}", n, saturation_point(p, ceiling, gain), 0
        )
    law = fit(Curve.of(list(O1), list(O1.values()), unit="tokens"), "log_linear")
    yield Row("o1-mini, AIME 2024: log-linear slope per doubling", 0.061, law.values[1] * math.log(2), 5.1e-4)
    left = np.array(list(O1.values())) - np.array([law.score(x) for x in O1])
    yield Row("o1-mini: residual standard deviation", 0.055, float(np.sqrt(left @ left / len(left))), 0.006)
    rng = np.random.default_rng(0)
    for r, theirs in ((1, 3.99), (2, 1.88), (5, 1.24), (20, 1.05)):
        draws = rng.geometric(0.02, (200_000 // r, r)).sum(axis=1)
        yield Row(f"PassUntil, p = .02: mean of r / K over p, r = {r}", theirs, float(np.mean(r / draws)) / 0.02, 0.05)
        if r > 1:
            yield Row(
                f"PassUntil, p = .02: mean of (r - 1) / (K - 1) over p, r = {r}",
                1.0,
                float(np.mean((r - 1) / (draws - 1))) / 0.02,
                0.02,
            )


def saturations(folder: Path) -> Iterator[Row]:
    """Saturation at a gain of .01 or .002 foretold from the first 8 or 16 samples, against the curve of all: TTSPM's own test,
    on pools that the paper didn't use. Its form assumes that problems are equally hard; the Beta-binomial doesn't."""
    for name, model, few, gain in (
        ("math500_100_r1llama8b_80_chunkppl", None, 8, 0.002),
        ("humaneval_codegen16b_100x100tests", None, 16, 0.005),
        ("gpqa64_llama70b_genrm_128x32", None, 16, 0.005),
        ("game24_gpt4_100x100", "gpt-4(2023)-cot", 16, 0.005),
    ):
        pool = Pool.read(folder / "pools" / f"{name}.parquet", columns=RECORDED_POOLS, texts=False)
        counts = from_pool(pool.of(model) if model else pool)
        assert isinstance(counts, Counts)
        k, y = np.arange(1, counts.largest + 1), counts.weights @ counts.table(int(counts.largest) * 20) / counts.problems
        assert len(k) == len(y)
        observed = int(k[:-1][np.diff(y) > gain][-1]) + 1
        seen = counts.upto(few, np.random.default_rng(0))
        for law in ("parallel_saturation", "beta_binomial"):
            made = fit(seen, law, resamples=20).tested(0.0, 100.0)
            yield Row(
                f"{name.split('_')[0]}: N* at a gain of {gain} from {few} samples, {law}", observed, saturation(made, gain).value
            )


def forecast_intervals(simulations: int = 60) -> Iterator[Row]:
    """90% intervals of pass@10,000 from 100 samples of 128 problems: how often they hold the truth."""
    rng = np.random.default_rng(0)
    for (alpha, beta), theirs in {(0.3, 8.0): (0.72, 0.83), (0.2, 25.0): (0.87, 0.93)}.items():
        truth = float(BetaBinomial().value(np.array([alpha, beta]), np.array([1e4]))[0])
        hits = {"power_law": 0, "beta_binomial": 0, "both, mixed": 0}
        for _ in range(simulations):
            counts = Counts.of(100, rng.binomial(100, rng.beta(alpha, beta, 128)))
            drawn = {name: fit(counts, name, resamples=60, points=()).drawn(np.array([1e4]))[:, 0] for name in list(hits)[:2]}
            drawn["both, mixed"] = np.concatenate(list(drawn.values()))
            for name, scores in drawn.items():
                low, high = np.quantile(scores, [0.05, 0.95])
                hits[name] += low <= truth <= high
        for name, figure in zip(hits, (*theirs, 0.9), strict=True):
            yield Row(f"coverage of 90% forecasts, Beta({alpha:g}, {beta:g}): {name}", figure, hits[name] / simulations)


def shown(title: str, rows: Callable[[], Iterator[Row]]) -> int:
    print(f"\n{title}\n{'':<86}{'theirs':>10}{'ours':>10}{'difference':>12}")
    off = 0
    for row in rows():
        off += row.off
        verdict = "" if row.tolerance is None else "  OFF" if row.off else "  ok"
        print(f"{row.what:<86}{row.theirs:>10.4g}{row.ours:>10.4g}{row.ours - row.theirs:>+12.2g}{verdict}")
    return off


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("OUTTHINK_SHARED_DATA"), help="the folder of recorded data")
    parser.add_argument("--slow", action="store_true")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of recorded data with --data or OUTTHINK_SHARED_DATA")
    frame = pl.read_parquet(options.data / "pools" / "counts_matrices.parquet").filter(
        pl.col("source") == "large-language-monkeys"
    )
    counts = {}
    for model in MODELS:
        rows = frame.filter(pl.col("model") == f"Pythia {model}")
        counts[model] = Counts.of(rows["n"].to_numpy(), rows["c"].to_numpy(), name=f"Pythia {model}")
    off = shown("Coverage of Large Language Monkeys, exactly", lambda: coverage(counts))
    off += shown("Its laws", lambda: laws(counts))
    off += shown("Worked numbers", worked)
    off += shown("Exponents from few samples", exponents)
    off += shown("Forecasts from few samples", lambda: forecasts(counts))
    off += shown("Saturation points (theirs: observed)", lambda: saturations(options.data))
    if options.slow:
        off += shown("Forecast intervals", forecast_intervals)
    print(f"\n{off} figures are off")
    sys.exit(min(off, 1))


if __name__ == "__main__":
    main()
