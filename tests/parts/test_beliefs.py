"""Beliefs on the published vectors, the mixed model against closed-form shrinkage, and the adaptive tree's books."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts.adaptive_branching import Choose, Tried, add, aggregated, modelled, next_parent, next_role, tree
from outthink.parts.beliefs import Beta, Gaussian, _evidence, mixed
from outthink.parts.traces import Trace
from outthink.parts.value_tree import Node


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.5], (0.25, 2, 2, 0.1125)), ([0.2, 0.8], (1 / 3, 3, 3, 0.14889)), ([1, 1, 1], (0.75, 4, 4, 0.2125))],
)
def test_gaussian_updates(scores: list[float], expected: tuple[float, ...]) -> None:
    for order in itertools.permutations(scores):
        found = Gaussian()
        for score in order:
            found = found.after(score)
        assert (found.mean, found.kappa, found.nu, found.variance) == pytest.approx(expected, abs=1e-5)


def test_gaussian_draws_are_of_the_mean() -> None:
    belief = Gaussian(0.3, 9.0, 8.0, 0.05)
    draws = [belief.draw(chance) for chance in [random.Random(1)] for _ in range(20_000)]
    # Student t with nu degrees of freedom: variance nu/(nu-2) * tau^2 / kappa
    assert statistics.fmean(draws) == pytest.approx(0.3, abs=0.003)
    assert statistics.pvariance(draws) == pytest.approx(8 / 6 * 0.05 / 9, rel=0.06)


def test_beta_updates() -> None:
    found = Beta().after(0.3).after(0.9)
    assert (found.good, found.bad) == pytest.approx((1.7, 1.3))
    with pytest.raises(BadInput, match="not in"):
        Beta().after(1.2)


def test_the_evidence_is_that_of_the_normal_model() -> None:
    """One group of two scores: the log density of a bivariate normal, up to a constant that is the same for all deviations."""

    def exact(scores: tuple[float, float], a: float, y: float) -> float:
        var, cov = y * y + a * a + 0.04, a * a + 0.04
        det, (x, z) = var * var - cov * cov, (score - 0.5 for score in scores)
        return -0.5 * math.log(det) - (var * x * x - 2 * cov * x * z + var * z * z) / (2 * det)

    scores = (0.2, 0.9)
    mean = sum(scores) / 2
    within = sum((score - mean) ** 2 for score in scores)
    found = [_evidence([(2, mean)], 2, within, a, y) - exact(scores, a, y) for a, y in ((0.1, 0.3), (0.4, 0.05), (0.02, 0.6))]
    # what is left out is the prior's own constant
    assert found == pytest.approx([found[0]] * 3, abs=1e-9)


def test_mixed_draws_shrink_towards_all() -> None:
    chance = random.Random(2)
    draws = [mixed([[0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1], [0.9]], chance) for _ in range(1500)]
    high, low, once = (statistics.fmean(draw[0][at] for draw in draws) for at in range(3))
    fresh = statistics.fmean(draw[1] for draw in draws)
    assert low < fresh < once <= high + 0.05
    assert 0.75 < high < 0.9
    prior = [mixed([], chance)[1] for _ in range(3000)]
    assert statistics.fmean(prior) == pytest.approx(0.5, abs=0.03)


def sample(at: int) -> Sample:
    return Sample(Key("t", (), at), str(at), Finish.EOS)


@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([aggregated, modelled]))
def test_the_books_of_the_adaptive_tree(seed: int, count: int, choose: Choose) -> None:
    """Told of a new child: each child. Of going on: each descendant below its children. Of itself: itself and all below."""
    chance, root = random.Random(seed), tree(Gaussian)
    for at in range(count):
        add(next_parent(root, choose, chance), sample(at), chance.random(), Gaussian)

    def seen(belief: object) -> float:
        assert isinstance(belief, Gaussian)
        return belief.kappa - 1

    def below(node: Tried) -> int:
        return sum(1 + below(child) for child in node.children)

    def check(node: Tried) -> None:
        assert seen(node.fresh) == len(node.children)
        assert seen(node.deeper) == below(node) - len(node.children)
        assert seen(node.own) == (below(node) + 1 if node.parent is not None else 0)
        for child in node.children:
            check(child)

    check(root)
    assert below(root) == count


@pytest.mark.parametrize(("choose", "times"), [(aggregated, 4.0), (modelled, 1.0)])
def test_refining_that_pays_goes_deep_and_that_harms_goes_wide(choose: Choose, times: float) -> None:
    """Variant M holds a child's own score to be like those below it, so it looks below every new child once."""

    def mean_depth(change: float) -> float:
        depths = []
        for seed in range(12):
            chance, root = random.Random(seed), tree(Gaussian)
            for at in range(24):
                parent = next_parent(root, choose, chance)
                score = 0.3 if parent is root else min(max(parent.score + change, 0.0), 1.0)
                depths.append(add(parent, sample(at), score + chance.gauss(0, 0.05), Gaussian).depth)
        return statistics.fmean(depths)

    assert mean_depth(0.3) > times * mean_depth(-0.3)


def test_models_take_turns_by_what_they_scored() -> None:
    chance = random.Random(0)
    told = [("small", 0.1)] * 20 + [("large", 0.9)] * 20
    picked = [next_role(("small", "large"), told, "thompson", Gaussian, chance) for _ in range(50)]
    assert picked.count("large") > 45
    assert next_role(("small", "large", "new"), told, "ucb", Gaussian, chance) == "new"
    assert next_role(("small", "large"), told, "ucb", Gaussian, chance) == "large"


@given(st.integers(0, 1000), st.integers(1, 40))
def test_visits_and_means_of_uct(seed: int, simulations: int) -> None:
    """A node's visits are its children's and its own; its mean is that of every value backed up at or below it."""
    chance, root = random.Random(seed), Node(Trace())
    log: dict[int, list[float]] = {}
    for _ in range(simulations):
        node = root.descend(1.4)
        if not node.children and (node.visits or node is root):
            node.children = [Node(Trace(), node) for _ in range(3)]
            node = node.chosen(1.4)
        value = chance.random()
        node.back_up(value)
        while node is not None:
            log.setdefault(id(node), []).append(value)
            node = node.parent  # type: ignore[assignment]  # ends at the root
    for node in root.all():
        assert node.visits == len(log.get(id(node), []))
        if node.visits:
            assert node.mean == pytest.approx(statistics.fmean(log[id(node)]))
        if node.children:
            assert node.visits - sum(child.visits for child in node.children) == (0 if node is root else 1)
