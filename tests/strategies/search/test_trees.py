"""Tree strategies against closed forms and brute force in worlds small enough to enumerate."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest

from outthink.core.problem import Problem
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Result, Stop
from outthink.parts import tree_selection
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import BOUNDARY, Node, TreeVerifier, TreeWorld


def run(world: TreeWorld, strategy: str, seed: int = 0, **parameters: Any) -> Result:
    """One run in a world."""

    async def main() -> Result:
        async with Session(
            SimulatedBackend(world, seed=seed), task=world.task, verifier=TreeVerifier(world), seed=seed
        ) as session:
            return await session.solve(Problem("Toy problem p: which word?", "p"), strategy, **parameters)

    return run_virtually(main())


def world(root: Node) -> TreeWorld:
    """A world of one tree."""
    return TreeWorld.grown({"p": ("gold", root)})


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
def test_a_perfect_verifier_loses_no_live_step(strategy: str) -> None:
    """With q of being live per step, and n tries at each of two steps: 1-(1-q)^n per depth."""
    q, n, runs = 0.3, 4, 150
    tree = world(
        Node(
            below={
                "on": Node(q, 1.0, {"gold": Node(q, 1.0), "tin": Node(1 - q, 0.0)}),
                "off": Node(1 - q, 0.0, {"tin": Node(1.0, 0.0)}),
            }
        )
    )
    hits = sum(run(tree, strategy, seed, width=n, branching=n).answer == "gold" for seed in range(runs))
    expected = (1 - (1 - q) ** n) ** 2
    assert hits / runs == pytest.approx(expected, abs=4 * (expected * (1 - expected) / runs) ** 0.5)


ALONE: dict[str, dict[str, Any]] = {
    **{name: {"width": 1} for name in ("beam_search", "dvts", "rebase", "ets")},
    "a_star": {"branching": 1},
    "best_first": {"branching": 1, "proved": 0.0, "failed": -1.0},
}


@pytest.mark.parametrize(("strategy", "alone"), ALONE.items())
def test_one_trace_is_plain_sampling(strategy: str, alone: dict[str, Any]) -> None:
    tree = world(
        Node(
            below={
                "a": Node(0.5, 0.1, {"gold": Node(0.6, 0.3), "tin": Node(0.4, 0.9)}),
                "b": Node(0.5, 0.9, {"lead": Node(1.0, 0.2)}),
            }
        )
    )
    runs = 120
    found = [run(tree, strategy, seed, **alone).answer for seed in range(runs)]
    for answer, chance in (("gold", 0.3), ("tin", 0.2), ("lead", 0.5)):
        assert found.count(answer) / runs == pytest.approx(chance, abs=4 * (chance * (1 - chance) / runs) ** 0.5)


def pops(result: Result) -> list[str]:
    """The answers so far that were expanded, in order."""
    return list(dict.fromkeys(sample.prefix for sample in result.samples))


TOY = world(
    Node(
        below={
            "a": Node(0.5, 0.7, {"a1": Node(1.0, 0.4, {"tin": Node(1.0, 0.1)})}),
            "b": Node(0.5, 0.6, {"b1": Node(1.0, 0.65, {"gold": Node(1.0, 0.65)})}),
        }
    )
)


def test_a_star_pops_in_the_order_of_the_card() -> None:
    runs = (run(TOY, "a_star", seed, branching=6, root=0.5) for seed in range(50))
    result = next(each for each in runs if len({sample.text for sample in each.samples if not sample.prefix}) == 2)
    a, b = "Then a\n\n", "Then b\n\n"
    assert pops(result) == ["", a, b, f"{b}Then b1\n\n"]
    assert result.answer == "gold"


def test_a_perfect_score_expands_no_dead_step() -> None:
    tree = world(
        Node(
            below={
                "on": Node(
                    0.6, 1.0, {"on2": Node(0.6, 1.0, {"gold": Node(1.0, 1.0)}), "off2": Node(0.4, 0.0, {"tin": Node(1.0, 0.0)})}
                ),
                "off": Node(0.4, 0.0, {"tin": Node(1.0, 0.0)}),
            }
        )
    )
    for seed in range(40):
        found = run(tree, "a_star", seed, branching=8)
        assert found.answer == "gold"
        assert len(pops(found)) == 3, "as many expansions as the answer has steps"


def random_tree(chance: random.Random, depth: int, name: str = "r") -> Node:
    """Every node has a score of its own and equally likely children; leaves are named by their path."""
    if depth == 0:
        return Node(0.0, chance.random())
    below = {f"{name}{at}": random_tree(chance, depth - 1, f"{name}{at}") for at in range(2)}
    return Node(0.0, chance.random(), {key: Node(0.5, node.score, node.below) for key, node in below.items()})


@pytest.mark.parametrize("seed", range(5))
def test_consistent_a_star_finds_the_least_of_all(seed: int) -> None:
    """On a finite tree of which every child is met: the whole answer of least f, by brute force over all leaves."""
    tree = random_tree(random.Random(seed), 3)
    found = run(world(tree), "a_star", branching=12, edge_cost="consistent", root=1.0)

    def f(nodes: tuple[Node, ...]) -> float:
        h = [0.0, *(1 - (node.score or 0.0) for node in nodes)]
        return sum(max(0.0, before - after) for before, after in itertools.pairwise(h)) + h[-1]

    leaves = {path[-1]: f(nodes) for path, _, nodes in tree.leaves()}
    assert found.answer is not None
    assert leaves[found.answer] == pytest.approx(min(leaves.values()))


def test_expansions_end_in_an_answer() -> None:
    found = run(TOY, "a_star", branching=2, expansions=1)
    assert found.answer in ("tin", "gold"), "the best answer so far is finished by plain sampling"


def children(result: Result) -> dict[str, dict[str, Sample]]:
    """The distinct answers so far that each one was expanded to, in order, with their last steps."""
    found: dict[str, dict[str, Sample]] = {}
    for sample in result.samples:
        whole = sample.whole + (BOUNDARY if sample.finish is Finish.STOP else "")
        found.setdefault(sample.prefix, {}).setdefault(whole, sample)
    return found


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_best_first_pops_by_the_papers_priority(alpha: float) -> None:
    """A plain loop over what was generated: the least -sum of mean log-probabilities / depth^alpha, the earlier of equals."""
    found = run(world(random_tree(random.Random(1), 4)), "best_first", branching=3, alpha=alpha, failed=-1.0, proved=2.0)
    grown, opened, order = children(found), [(0.0, 0, "", 0.0, 0)], []
    for pushed in itertools.count(1):
        if not opened:
            break
        opened.sort()
        _, _, text, total, depth = opened.pop(0)
        order.append(text)
        for at, (whole, step) in enumerate(grown[text].items()):
            if step.finish is Finish.STOP:
                summed = total + step.summary["mean_logprob"]
                opened.append((-summed / (depth + 1) ** alpha, 10 * pushed + at, whole, summed, depth + 1))
    assert pops(found) == order
    assert len(order) > 6


@pytest.mark.parametrize("c", [0.1, 0.4, 1.4])
def test_mcts_looks_where_upper_confidence_says(c: float) -> None:
    """A plain loop over what was generated: who is expanded, and when, by the paper's rule."""
    tree = world(random_tree(random.Random(2), 6))
    found = run(tree, "mcts", branching=3, simulations=80, exploration=c)
    grown, order = children(found), list[str]()
    visits, totals, below = {"": 0}, {"": 0.0}, dict[str, list[str]]()

    def score(text: str) -> float:
        node = tree.node("p", text)
        return (node and node.score) or 0.0

    def bound(text: str, parent: str) -> tuple[float, float]:
        if not visits[text]:
            return math.inf, score(text)
        return totals[text] / visits[text] + c * math.sqrt(math.log(visits[parent]) / visits[text]), 0.0

    for _ in range(80):
        path = [""]
        while path[-1] in below:
            path.append(max(below[path[-1]], key=lambda text: bound(text, path[-1])))
        if path[-1] in grown and (visits[path[-1]] or len(path) == 1):
            order.append(path[-1])
            below[path[-1]] = list(grown[path[-1]])
            visits |= dict.fromkeys(below[path[-1]], 0)
            totals |= dict.fromkeys(below[path[-1]], 0.0)
            path.append(max(below[path[-1]], key=lambda text: bound(text, path[-1])))
        for text in path:
            visits[text] += 1
            totals[text] += score(path[-1])
    assert pops(found) == order
    assert len(order) >= 6


def test_rebase_without_cost_is_ets() -> None:
    tree = world(random_tree(random.Random(3), 3))
    for seed in range(10):
        one = run(tree, "rebase", seed, width=6)
        other = run(tree, "ets", seed, width=6, cost=0.0, coverage=0.0)
        assert [sample.whole for sample in one.samples] == [sample.whole for sample in other.samples]


def test_cost_shrinks_the_tree() -> None:
    tree = world(random_tree(random.Random(4), 4))

    def nodes(**how: Any) -> float:
        return sum(len({sample.whole for sample in run(tree, "ets", seed, width=12, **how).samples}) for seed in range(15))

    assert nodes(cost=2.0, coverage=0.0) < nodes(cost=0.0, coverage=0.0)


def test_a_budget_in_seconds_bounds_the_solver_too(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, given = world(random_tree(random.Random(5), 3)), list[float]()
    own = tree_selection.kept

    def kept(*words: Any) -> list[int]:
        given.append(words[-1])
        return own(*words)

    monkeypatch.setattr(tree_selection, "kept", kept)
    assert run(tree, "ets", width=8).stop is Stop.FINISHED
    assert set(given) == {tree_selection.SECONDS}
    given.clear()
    assert run(tree, "ets", width=8, budget="6 seconds").stop is Stop.FINISHED
    assert all(0 < seconds <= 1.5 for seconds in given)
    assert given == sorted(given, reverse=True)


@pytest.mark.parametrize("strategy", ["beam_search", "dvts"])
def test_lookahead_sees_what_a_step_leads_to(strategy: str) -> None:
    """A step that looks better and leads nowhere: one step ahead sees it."""
    tree = world(Node(below={"trap": Node(0.5, 0.9, {"tin": Node(1.0, 0.1)}), "way": Node(0.5, 0.5, {"gold": Node(1.0, 0.9)})}))
    blind = [run(tree, strategy, seed, width=6, branching=6) for seed in range(10)]
    ahead = [run(tree, strategy, seed, width=6, branching=6, lookahead=1) for seed in range(10)]
    assert {each.answer for each in blind} == {"tin"}
    assert {each.answer for each in ahead} == {"gold"}
    assert {len(each.samples) for each in blind} == {12}
    assert {len(each.samples) for each in ahead} == {18}, "6 steps more for the first 6; whole answers need none"
