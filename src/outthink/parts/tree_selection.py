"""Which leaves of a search tree to keep: an integer program that trades score against the size of the tree, and coverage.

ETS, arXiv:2502.13575, eq. 4: it costs a key-value cache per node, which leaves with common ancestors share. Solving it exactly
takes milliseconds for most trees and may take minutes for some; those are rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from outthink.core.errors import BadInput, InternalError, MissingExtra
from outthink.parts.traces import Trace

Vector = Sequence[float]

SECONDS = 2.0
"""For which the solver may look for the best choice."""


def trigrams(texts: Sequence[str]) -> list[list[float]]:
    """Counts of runs of three characters: a crude embedding that needs no model."""
    counts = [Counter(f"  {text} "[at : at + 3] for at in range(len(text) + 1)) for text in texts]
    known = sorted(set().union(*counts))
    return [[float(count[run]) for run in known] for count in counts]


def grouped(vectors: Sequence[Vector], distance: float) -> list[int]:
    """The cluster of each vector: average linkage, cosine distance, cut at `distance`. Raises MissingExtra."""
    if len(vectors) < 2:
        return [0] * len(vectors)
    hierarchy, numpy = _scipy("cluster.hierarchy"), _scipy("", "numpy")
    table = numpy.asarray(vectors, dtype=float)
    # A vector of zeros has no direction: it gets one of its own.
    table = numpy.hstack([table, (~table.any(axis=1, keepdims=True)).astype(float)])
    return [int(each) - 1 for each in hierarchy.fcluster(hierarchy.linkage(table, "average", "cosine"), distance, "distance")]


def kept(
    shares: Sequence[float],
    traces: Sequence[Trace],
    clusters: Sequence[int],
    cost: float,
    coverage: float,
    seconds: float = SECONDS,
) -> list[int]:
    """The leaves to keep, in order: argmax of  sum of shares - cost * nodes kept / all nodes + coverage * clusters kept / all.

    shares:   (N,) of the width, by leaf;  traces: (N,) the leaves; their shorter beginnings are the ancestors, root included
    clusters: (N,) the cluster of each leaf; nobody is asked where coverage is 0
    seconds:  for which the solver may search. Where that isn't enough the choice is the best of the first 1, 2, ... N leaves in
              the order in which the relaxed program (each kept by any part of it) wants them: what the time was used for changes
              nothing about it

    Raises BadInput, MissingExtra; InternalError where even that has no solution (one leaf always is one).
    """
    if not len(shares) == len(traces) == len(clusters) or not traces or cost < 0 or coverage < 0:
        raise BadInput("give as many shares, traces and clusters, and weights of 0 or more", where="tree selection")
    paths = [["", *(step.whole for step in trace.steps[:-1])] for trace in traces]
    ancestors = {text: at for at, text in enumerate(dict.fromkeys(text for path in paths for text in path))}
    groups = {cluster: at for at, cluster in enumerate(dict.fromkeys(clusters))}
    leaves, nodes, sets = len(traces), len(ancestors), len(groups)
    numpy, optimize, sparse = _scipy("", "numpy"), _scipy("optimize"), _scipy("sparse")
    gain = numpy.concatenate(
        [
            numpy.asarray(shares, dtype=float) - cost / (leaves + nodes),
            numpy.full(nodes, -cost / (leaves + nodes)),
            numpy.full(sets, coverage / sets),
        ]
    )
    pairs = [(leaf, ancestors[text]) for leaf, path in enumerate(paths) for text in dict.fromkeys(path)]
    needs = sparse.lil_matrix((len(pairs) + sets + 1, leaves + nodes + sets))
    for row, (leaf, ancestor) in enumerate(pairs):  # a leaf needs its ancestors: x - y <= 0
        needs[row, leaf], needs[row, leaves + ancestor] = 1, -1
    for leaf, cluster in enumerate(clusters):  # a cluster is covered by a leaf: z - sum x <= 0
        needs[len(pairs) + groups[cluster], leaf] = -1
    for at in range(sets):
        needs[len(pairs) + at, leaves + nodes + at] = 1
    needs[len(pairs) + sets, :leaves] = -1  # at least one leaf
    most = numpy.zeros(needs.shape[0])
    most[-1] = -1
    program = {"constraints": optimize.LinearConstraint(needs.tocsr(), -numpy.inf, most), "bounds": optimize.Bounds(0, 1)}
    found = optimize.milp(-gain, **program, integrality=numpy.ones(len(gain)), options={"time_limit": seconds})
    if found.success:
        return [leaf for leaf in range(leaves) if found.x[leaf] > 0.5]
    relaxed = optimize.milp(-gain, **program)
    if relaxed.x is None:
        raise InternalError(f"the solver found no leaf to keep: {relaxed.message}")
    wanted = sorted(range(leaves), key=lambda leaf: (-round(float(relaxed.x[leaf]), 6), -shares[leaf], leaf))
    needed = [
        {leaves + ancestors[text] for text in path} | {leaves + nodes + groups[each]}
        for path, each in zip(paths, clusters, strict=True)
    ]
    return _best_beginning(wanted, needed, gain.tolist())


def _best_beginning(wanted: Sequence[int], needed: Sequence[set[int]], gain: Sequence[float]) -> list[int]:
    """The beginning of `wanted` whose leaves, with all that each brings along, gain most; in order."""
    held, total, gains = set[int](), 0.0, list[float]()
    for leaf in wanted:
        total += gain[leaf] + sum(gain[each] for each in sorted(needed[leaf] - held))
        held |= needed[leaf]
        gains.append(total)
    return sorted(wanted[: 1 + gains.index(max(gains))])


def installed() -> None:
    """Raise MissingExtra where what solves the program is not installed: to be asked before anything is spent."""
    _scipy("optimize")


def _scipy(name: str, package: str = "scipy") -> Any:
    from importlib import import_module

    try:
        return import_module(f"{package}.{name}" if name else package)
    except ImportError as error:
        raise MissingExtra("selecting leaves of a tree", "evaluate") from error
