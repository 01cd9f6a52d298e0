"""How fast resampled curves are: majority, weighted majority, best-of-n and pass@n at n = 1, 2, 4 ... 256 on 500 problems of
256 samples, 1,000 two-level resamples, with intervals; against vectorised numpy that draws permutations.

    python benchmarks/estimators.py

The baseline is what a careful user of numpy writes: for each resample, all problems at once, orders by `Generator.permuted`,
gathers by `take_along_axis`, votes by one `bincount` over (problem, class) that grows from n to n, in one thread.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from outthink.evaluation.problem_samples import ProblemSamples
from outthink.evaluation.resampling import resample

NS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
SECONDS, MEGABYTES, TIMES = 5.0, 1024, 5.0


def made(problems: int, samples: int, classes: int) -> list[ProblemSamples]:
    """Problems whose right class is anything from certain to rare; one sample in twenty has no answer."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(problems):
        chance = rng.beta(0.7, 0.7)
        wrong = rng.dirichlet(np.full(classes - 1, 0.5)) * (1 - chance)
        drawn = rng.choice(classes, samples, p=[chance, *wrong])
        scores = 1 / (1 + np.exp(-rng.normal(0.8 * (drawn == 0), 1)))
        drawn[rng.random(samples) < 0.05] = -1
        found.append(ProblemSamples.of(drawn, drawn == 0, weights=scores, scores=scores))
    return found


def baseline(problems: list[ProblemSamples], ns: list[int], resamples: int) -> dict[str, NDArray[np.float64]]:
    """(J, R) means of each selector."""
    rng = np.random.default_rng(1)
    many, size = len(problems), problems[0].n
    classes = np.stack([each.classes for each in problems])
    right, weights = np.stack([each.right for each in problems]), np.stack([each.weights for each in problems])
    scores = np.where(classes >= 0, weights, -np.inf)
    width = int(classes.max()) + 2  # the last one takes what doesn't vote
    class_right = np.zeros((many, width - 1))
    for at, each in enumerate(problems):
        class_right[at, : len(each.class_right)] = each.class_right
    means = {name: np.zeros((len(ns), resamples)) for name in ("majority", "weighted_majority", "best_of_n", "pass@n (oracle)")}
    cells = np.arange(many)[:, None] * width
    for r in range(resamples):
        chosen = rng.integers(many, size=many)
        order = rng.permuted(np.tile(np.arange(size), (many, 1)), axis=1)
        drawn, hits, heavy, score = (
            np.take_along_axis(table[chosen], order, axis=1) for table in (classes, right, weights, scores)
        )
        good, votes = class_right[chosen], np.zeros(many * width)
        weighed, before = np.zeros(many * width), 0
        for j, n in enumerate(ns):
            here = (cells + np.where(drawn[:, before:n] < 0, width - 1, drawn[:, before:n])).ravel()
            votes += np.bincount(here, minlength=many * width)
            weighed += np.bincount(here, heavy[:, before:n].ravel(), minlength=many * width)
            for name, table in (("majority", votes), ("weighted_majority", weighed)):
                tally = table.reshape(many, width)[:, :-1]
                tied = (tally == tally.max(axis=1, keepdims=True)) & (tally > 0)
                means[name][j, r] = ((tied * good).sum(axis=1) / np.maximum(tied.sum(axis=1), 1)).mean()
            best = score[:, :n].argmax(axis=1)
            valid = score[np.arange(many), best] > -np.inf
            means["best_of_n"][j, r] = (hits[np.arange(many), best] & valid).mean()
            means["pass@n (oracle)"][j, r] = hits[:, :n].any(axis=1).mean()
            before = n
    return means


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processors, which other work on the machine changes less."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


def medians(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    found = [seconds(work) for _ in range(repeat)]
    return statistics.median(each for each, _ in found), statistics.median(each for _, each in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--classes", type=int, default=16)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    problems = made(options.problems, options.samples, options.classes)
    ns = [n for n in NS if n <= options.samples]

    def ours() -> dict[tuple[str, int], object]:
        found = resample(problems, ns, resamples=options.resamples)
        return {(name, n): found.interval(name, n) for name in found.values for n in found.ns}

    ours()  # warm-up
    fast, busy = medians(ours, options.repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slow, slow_busy = medians(lambda: baseline(problems, ns, options.resamples), options.repeat)
    found, theirs = resample(problems, ns, resamples=options.resamples), baseline(problems, ns, options.resamples)
    print(f"{'selector':<20}{'n':>5}  {'ours (95%)':<24}numpy (95%)")
    for name, means in theirs.items():
        for n in (ns[0], ns[len(ns) // 2], ns[-1]):
            low, high = np.quantile(means[ns.index(n)], [0.025, 0.975])
            print(f"{name:<20}{n:>5}  {found.interval(name, n)!s:<24}{means[ns.index(n)].mean():.3f} [{low:.3f}, {high:.3f}]")
    print(f"ours {fast:.2f} s (limit {SECONDS:g}), {busy:.2f} s of processors, peak {peak:.0f} MB (limit {MEGABYTES})")
    times = f"{slow / fast:.1f} times as long (at least {TIMES:g}) and {slow_busy / busy:.1f} times the work"
    print(f"numpy with permutations {slow:.2f} s, {slow_busy:.2f} s of processors: {times}; medians of {options.repeat}")
    return 0 if fast < SECONDS and peak < MEGABYTES and slow >= TIMES * fast else 1


if __name__ == "__main__":
    raise SystemExit(main())
