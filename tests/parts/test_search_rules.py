"""Allocation and tree selection on the published vectors, and against brute force."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts.allocation import rebase
from outthink.parts.frontier import best, distinct, repeated
from outthink.parts.traces import Trace
from outthink.parts.tree_selection import grouped, kept, trigrams


def trace(path: str, score: float | None = None) -> Trace:
    """A trace whose steps are single letters."""
    steps = tuple(Sample(Key("t", (), at), letter, Finish.STOP, prefix=path[:at]) for at, letter in enumerate(path))
    return Trace(steps, (*([None] * (len(path) - 1)), score) if path else ())


def test_allocation_of_the_paper() -> None:
    assert rebase([0.9, 0.8, 0.5, 0.1], 16, 0.2) == [10, 5, 1, 0]
    assert rebase([0.9, 0.8, 0.5, 0.1], 4, 0.2) == [3, 1, 0, 0]
    assert rebase([0.5, 0.5, 0.5], 16, 0.2) == [6, 5, 5]
    assert rebase([0.1, 0.9, None], 8, 1e-6) == [0, 8, 0]
    assert rebase([None, None], 4, 0.2) == [2, 2]
    assert rebase([0.9, 0.1], 8, 1e12) == [4, 4]
    with pytest.raises(BadInput):
        rebase([0.5], 4, 0.0)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=12), st.integers(1, 64), st.floats(0.01, 10))
def test_an_allocation_uses_the_width_and_follows_the_scores(scores: list[float | None], width: int, temperature: float) -> None:
    counts = rebase(scores, width, temperature)
    assert sum(counts) == width
    known = sorted((score, count) for score, count in zip(scores, counts, strict=True) if score is not None)
    assert all(one[1] <= other[1] for one, other in itertools.pairwise(known) if one[0] < other[0])
    if known:
        assert not any(count for score, count in zip(scores, counts, strict=True) if score is None)


LEAVES = [trace(path) for path in ("ac", "ad", "be", "bf")]
SHARES = [0.5, 0.375, 0.125, 0.0]


@pytest.mark.parametrize(
    ("clusters", "cost", "coverage", "expected"),
    [([0, 0, 0, 0], 1.0, 0.0, [0, 1]), ([0, 0, 1, 1], 1.0, 1.0, [0, 1, 2]), ([0, 1, 2, 3], 2.0, 2.0, [0, 1, 2, 3])],
)
def test_selection_of_the_paper(clusters: list[int], cost: float, coverage: float, expected: list[int]) -> None:
    assert rebase([0.9, 0.85, 0.6, 0.3], 8, 0.2) == [4, 3, 1, 0]
    assert kept(SHARES, LEAVES, clusters, cost, coverage) == expected
    assert kept(SHARES, LEAVES, clusters, 100.0, 0.0) == [0], "one leaf, the best"
    assert set(kept(SHARES, LEAVES, clusters, 0.0, 0.0)) >= {0, 1, 2}, "every leaf with a share"


def objective(
    keep: tuple[int, ...], paths: list[str], shares: list[float], clusters: list[int], cost: float, coverage: float
) -> float:
    """What the program maximises."""
    ancestors = {path[:at] for path in paths for at in range(len(path))}
    held = {paths[leaf][:at] for leaf in keep for at in range(len(paths[leaf]))}
    return (
        sum(shares[leaf] for leaf in keep)
        - cost * (len(held) + len(keep)) / (len(ancestors) + len(paths))
        + coverage * len({clusters[leaf] for leaf in keep}) / len(set(clusters))
    )


@given(st.data())
def test_selection_is_the_best_of_all_subsets(data: st.DataObject) -> None:
    paths = data.draw(st.lists(st.text("abc", min_size=2, max_size=3), min_size=1, max_size=7))
    shares = [data.draw(st.integers(0, 8)) / 8 for _ in paths]
    clusters = [data.draw(st.integers(0, 2)) for _ in paths]
    cost, coverage = data.draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])), data.draw(st.sampled_from([0.0, 0.7, 2.0]))
    keep = kept(shares, [trace(path) for path in paths], clusters, cost, coverage)
    assert keep
    every = itertools.chain.from_iterable(itertools.combinations(range(len(paths)), k) for k in range(1, len(paths) + 1))
    most = max(objective(subset, paths, shares, clusters, cost, coverage) for subset in every)
    assert objective(tuple(keep), paths, shares, clusters, cost, coverage) == pytest.approx(most, abs=1e-6)
    rounded = kept(shares, [trace(path) for path in paths], clusters, cost, coverage, seconds=0.0)
    value = objective(tuple(rounded), paths, shares, clusters, cost, coverage)
    whole = objective(tuple(range(len(paths))), paths, shares, clusters, cost, coverage)
    assert rounded == sorted(set(rounded))
    assert whole - 1e-9 <= value <= most + 1e-6, "without time: no worse than keeping all"


def test_without_time_the_choice_is_rounded_and_the_same_each_time() -> None:
    """Many leaves that are worth the same, and clusters across the tree: what the solver takes longest for."""
    paths = [f"{at % 7}{at % 11}{at % 5}{chr(97 + at % 26)}{chr(65 + at // 26)}" for at in range(120)]
    given = [1 / 120] * 120, [trace(path) for path in paths], [at % 24 for at in range(120)], 1.5, 0.5
    keep = kept(*given, seconds=1e-9)
    assert keep == kept(*given, seconds=1e-6)
    assert 1 <= len(keep) < 120
    exact = objective(tuple(kept(*given, seconds=60.0)), paths, *given[0:1], *given[2:])
    assert objective(tuple(keep), paths, *given[0:1], *given[2:]) >= exact - 0.3


def test_groups_by_what_is_said() -> None:
    found = grouped(trigrams(["25/5=5", "25/5=5", "13*5=65", ""]), 0.05)
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert grouped(trigrams(["a"]), 0.05) == [0]


def test_frontier() -> None:
    traces = [trace("a", 0.2), trace("b", None), trace("c", 0.9), trace("d", 0.9), trace("a", 0.2)]
    assert [each.text for each in best(traces, 3)] == ["c", "d", "a"]
    assert [each.text for each in distinct(traces)] == ["a", "b", "c", "d"]
    assert [each.text for each in repeated(traces[:2], 5)] == ["a", "b", "a", "b", "a"]
