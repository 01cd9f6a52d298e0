"""Voting and selection strategies by their papers' worked numbers, live in toy worlds and replayed from pools."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from outthink import catalogue
from outthink.core.errors import BadInput, PoolMiss, UnknownName, Unsupported
from outthink.core.sample import Finish
from outthink.core.selection import Result
from outthink.core.task import Answer
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedScores, RecordedTask
from outthink.evaluation.schema import shaped
from outthink.parts import gating, thinking
from outthink.parts.voting import Best, growing
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trials import WORLD, Case, trial
from outthink.testing.worlds import Odds, World
from tests.parts.test_selecting import sample

SURE = World({"p": Odds("gold", {"gold": 1.0})})
MIXED = World({"p": Odds("gold", {"gold": 0.4, "lead": 0.4})})


def pool(rows: list[dict[str, Any]]) -> Pool:
    """Samples of one problem "p"."""
    each = [
        {"problem_id": "p", "problem": "Toy problem p: which?", "gold": "a", "model": "m", "sample_index": at, "finish": "eos",
         "completion_tokens": 5, "prompt_tokens": 3, "correct": row.get("answer") == "a", **row}
        for at, row in enumerate(rows)
    ]  # fmt: skip
    for row in each:
        row.setdefault("answer_class", row.get("answer"))
    return Pool(shaped(pl.DataFrame(each), {}, "test"))


def replayed(held: Pool, strategy: str, roles: Mapping[str, Any] | None = None, **parameters: Any) -> Result:
    async def main() -> Result:
        task = RecordedTask(held)
        async with Session(held.backend(), task=task, verifier=RecordedScores(), roles=roles) as session:
            return await session.solve(held.problems[0], strategy, **parameters)

    return asyncio.run(main())


def ran(strategy: str, world: World = WORLD, *, script: tuple[str | None, ...] = (), seed: int = 0, **parameters: Any) -> Result:
    return trial(Case(catalogue.strategy(strategy), parameters), world=world, script=script, seed=seed).done


def votes(result: Result) -> dict[str, float]:
    assert result.selection is not None
    return dict(result.selection.votes)


# RPC


def paths(copy: float | None = None) -> Pool:
    """The card's example: sure paths of A, and more of B; `copy`: one of B's says what another says, this sure."""
    given = [("A", 0.5), ("A", 0.4), ("B", 0.45), ("B", 0.2), ("B", copy or 0.2)]
    texts = [f"path {at}" for at in range(4)] + ["path 3" if copy else "path 4"]
    return pool([{"text": text, "answer": a, "mean_logprob": math.log(q)} for text, (a, q) in zip(texts, given, strict=True)])


def test_rpc_weighs_paths_by_their_probability() -> None:
    assert replayed(paths(), "majority", n=5).answer == "B"
    found = replayed(paths(), "rpc", n=5, prune="none")
    assert votes(found) == pytest.approx({"A": 0.9, "B": 0.85})
    assert found.confidence == pytest.approx(0.9 / 1.75)
    assert found.selection is not None
    assert found.selection.sample is not None
    assert found.selection.sample.text == "path 0"


def test_rpc_counts_a_path_once() -> None:
    assert votes(replayed(paths(0.2), "rpc", n=5, prune="none")) == pytest.approx({"A": 0.9, "B": 0.65})
    assert votes(replayed(paths(0.2), "rpc", n=5, prune="none", compat=True)) == pytest.approx({"A": 0.9, "B": 0.65})
    # Reported with two probabilities, the official code counts both; we count the first that came.
    assert sum(votes(replayed(paths(0.21), "rpc", n=5, prune="none", compat=True)).values()) == pytest.approx(1.76)
    assert sum(votes(replayed(paths(0.21), "rpc", n=5, prune="none")).values()) in (pytest.approx(1.55), pytest.approx(1.56))


def test_rpc_prunes_what_is_improbable() -> None:
    # Two of A are sure, three of B are far less so: pruned, B keeps nothing.
    rows = [{"text": f"t{at}", "answer": a, "mean_logprob": math.log(q)} for at, (a, q) in enumerate(
        [("A", 0.9), ("A", 0.92), *[("B", q) for q in (0.3, 0.32, 0.29, 0.31, 0.33, 0.28)]])]  # fmt: skip
    assert replayed(pool(rows), "rpc", n=8, prune="none").answer == "B"
    assert votes(replayed(pool(rows), "rpc", n=8)) == pytest.approx({"A": 1.82})
    assert votes(replayed(pool(rows), "rpc", n=8, prune="mean")) == pytest.approx({"A": 1.82})


def test_rpc_with_equal_paths_is_the_vote() -> None:
    rows = [{"text": f"t{at}", "answer": a, "mean_logprob": -0.5} for at, a in enumerate("aabac")]
    assert votes(replayed(pool(rows), "rpc", n=5)) == pytest.approx({k: v * math.exp(-0.5) for k, v in votes(
        replayed(pool(rows), "majority", n=5)).items()})  # fmt: skip
    with pytest.raises(UnknownName, match="pruning rule of rpc"):
        replayed(pool(rows), "rpc", n=5, prune="weibull")
    with pytest.raises(Unsupported, match="logprobs"):
        replayed(pool([{"text": "t", "answer": "a"}]), "rpc", n=1)


# Best-of-majority


RATED = pool(
    [{"text": f"t{at}", "answer": a, "score": s} for at, (a, s) in enumerate(
        [("a", 0.5), ("a", 0.6), ("a", 0.4), ("b", 0.7), ("b", 0.7), ("c", 0.99), ("d", 0.1), (None, 0.3)])]
)  # fmt: skip


def submitted(**parameters: Any) -> tuple[str, ...]:
    found = replayed(RATED, "best_of_majority", n=8, **parameters).selection
    assert found is not None
    assert found.submissions[0] == found.answer_class
    return found.submissions


def test_best_of_majority_stands_between_its_ends() -> None:
    assert submitted(alpha=0.0) == ("c",)
    assert replayed(RATED, "best_of_n", n=8).answer == "c"
    assert submitted(alpha=2 / 7) == ("b",)
    assert submitted(least=2) == ("b",)
    assert submitted(alpha=0.4) == ("a",)
    assert submitted(alpha=0.9) == ("a",), "nothing comes so often: the majority"


def test_best_of_majority_hands_in_k() -> None:
    assert submitted(alpha=0.0, k=3) == ("c", "b", "a")
    assert set(submitted(alpha=0.4, k=3)[1:]) < {"b", "c", "d"}
    assert submitted(alpha=0.4, k=3)[:2] == ("a", "b"), "then the most frequent of the others"
    assert set(submitted(alpha=0.0, k=99)) == {"a", "b", "c", "d"}
    assert submitted(alpha=0.0, k=2, pooled="mean") == ("c", "b")
    for wrong in ({"k": 0}, {"alpha": 1.5}, {"least": 0}):
        with pytest.raises(BadInput, match="best_of_majority"):
            submitted(**wrong)


def test_only_answers_that_pass_are_scored() -> None:
    case = Case(catalogue.strategy("best_of_majority"), {"n": 4, "alpha": 0.5}, "judge")
    result = trial(case, script=("gold", "gold", "lead", None)).done
    assert result.usage.calls == 4 + 2


def test_more_samples_mislead_best_of_n_and_not_the_gate() -> None:
    """The paper's point: junk answers are rare each, but among many samples one of them is over-scored."""
    chance = random.Random(0)

    def right(n: int, alpha: float) -> float:
        won = 0
        for _ in range(60):
            draws = ["gold" if chance.random() < 0.3 else f"junk{chance.randrange(10**6)}" for _ in range(n)]
            scores = [0.6 if draw == "gold" else chance.random() ** 2 for draw in draws]
            answers = [Answer(draw, draw) for draw in draws]
            samples = [sample("", at) for at in range(n)]
            *_, counted = growing(samples, answers)
            kept = set(gating.frequent(counted.votes, alpha))
            heard = [score if draw in kept else None for draw, score in zip(draws, scores, strict=True)]
            *_, chosen = growing(samples, answers, heard, tally=Best)
            won += chosen.answer == "gold"
        return won / 60

    assert right(4, 0.0) > right(100, 0.0) + 0.2
    assert right(100, 0.1) > 0.95


# Multi-temperature


GRID = (0.0, 0.5, 1.0)


def test_multi_temperature_ends_where_all_agree() -> None:
    result = ran("multi_temperature", SURE, n=12, temperatures=GRID)
    assert (result.answer, result.usage.samples) == ("gold", 5), "two rounds, the greedy sample once"
    assert [each.meta["temperature"] for each in result.samples] == [0.0, 0.5, 1.0, 0.5, 1.0]
    assert ran("multi_temperature", SURE, n=12, temperatures=GRID, compat=True).usage.samples == 6
    assert ran("multi_temperature", SURE, n=12, temperatures=GRID, min_rounds=1).usage.samples == 3


def test_multi_temperature_goes_on_where_one_differs() -> None:
    script = ("gold", "gold", "lead", "gold", "lead", "gold", "lead", "gold")
    result = ran("multi_temperature", SURE, script=script, n=7, temperatures=GRID)
    assert result.usage.samples == 7
    assert votes(result) == {"gold": 4.0, "lead": 3.0}
    assert ran("multi_temperature", SURE, script=script, n=7, temperatures=GRID, cross=0.6).usage.samples == 5
    # Of one temperature only the share within it counts: gold 2 of 3 at 0.5.
    wavering = ("gold", "gold", "gold", "lead", "gold", "gold", "gold")
    assert ran("multi_temperature", SURE, script=wavering, n=7, temperatures=GRID).usage.samples == 7
    assert ran("multi_temperature", SURE, script=wavering, n=9, temperatures=GRID, intra=0.6).usage.samples == 7


def test_invalid_answers_make_no_temperature_sure() -> None:
    result = ran("multi_temperature", SURE, script=("gold", None, "gold", None, "gold"), n=5, temperatures=GRID)
    assert (result.answer, result.usage.samples) == ("gold", 5)
    with pytest.raises(BadInput, match="different"):
        ran("multi_temperature", SURE, n=4, temperatures=(0.7, 0.7))


def test_multi_temperature_replays_the_samples_of_each_temperature() -> None:
    rows = [{"text": f"{t}-{at}", "answer": "ab"[at % 2], "temperature": t} for t in GRID for at in range(1 if t == 0 else 4)]
    result = replayed(pool(rows), "multi_temperature", n=7, temperatures=GRID, intra=1.0)
    assert [float(each.text.partition("-")[0]) for each in result.samples] == [0.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0]
    assert len({each.text for each in result.samples}) == 7
    with pytest.raises(PoolMiss, match=r"temperature=0 or 0\.5 or 1 and asked with temperature=0\.3"):
        replayed(pool(rows), "multi_temperature", n=7, temperatures=(0.0, 0.3))


# Length and markers


def test_length_and_markers() -> None:
    rows = [
        {"text": "Maybe it is a", "answer": "a", "completion_tokens": 2},
        {"text": "so therefore it is b because", "answer": "b", "completion_tokens": 9},
        {"text": "it might be a", "answer": "a", "completion_tokens": 8},
        {"text": "then it is b thus", "answer": "b", "completion_tokens": 3},
        {"text": "perhaps maybe a", "answer": "a", "completion_tokens": 9},
    ]
    held = pool(rows)
    assert replayed(held, "majority", n=5).answer == "a"
    assert replayed(held, "length_selected", n=5, rule="best").answer == "a"
    assert replayed(held, "length_selected", n=5, keep=0.4).selection.tie  # type: ignore[union-attr]
    assert replayed(held, "length_selected", n=5, prefer="longest", keep=1.0).answer == "a"
    assert replayed(held, "marker_selected", n=5, keep=0.4).answer == "b"
    assert replayed(held, "marker_selected", n=5, marker="discourse", rule="best").answer == "b"
    with pytest.raises(PoolMiss, match="marker_selected reads"):
        replayed(pool([{"answer": "a"}]), "marker_selected", n=1)


# Hedged pools, CHOPS, X-MBR, universal self-consistency


def test_a_hedged_pool_has_one_greedy_member() -> None:
    result = ran("hedged", n=5)
    assert [each.meta["temperature"] for each in result.samples] == [0.0, 0.7, 0.7, 0.7, 0.7]
    greedy = {ran("hedged", n=2, seed=seed).samples[0].text for seed in range(4)}
    assert len(greedy) == 1, "greedy decoding doesn't depend on the seed"


@pytest.mark.parametrize("seed", range(6))
def test_mbr_by_equal_answers_is_the_vote(seed: int) -> None:
    found = ran("xmbr", MIXED, n=6, m=0, utility="answers", seed=seed)
    assert found.answer == ran("hedged", MIXED, n=6, seed=seed).answer
    assert found.usage.calls == 6


def test_calls_of_the_choosers() -> None:
    script = ("gold", "lead", "gold", "tin", "lead")
    assert ran("chops", script=script, n=5).usage.calls == 5 + 1
    assert ran("universal_self_consistency", script=script, n=5).usage.calls == 5 + 1
    assert ran("xmbr", script=script, n=5, m=3).usage.calls == 5 + 3 + 5 * 4 + 2 * 5 * 3
    assert ran("xmbr", script=script, n=5, m=0).usage.calls == 5 + 5 * 4
    assert ran("universal_self_consistency", SURE, n=5).usage.calls == 5, "all agree: nothing is asked"


@pytest.mark.parametrize("strategy", ["chops", "xmbr"])
def test_a_perfect_judge_finds_the_one_right_sample_wherever_it_is(strategy: str) -> None:
    world = World({"p": Odds("gold", {"lead": 1.0})})
    for at in range(5):
        script = tuple("gold" if place == at else "lead" for place in range(5))
        assert ran(strategy, world, script=script, n=5).answer == "gold"
        assert ran("universal_self_consistency", world, script=script, n=5).answer == "lead", "consistent isn't right"


def test_what_a_judge_says_and_nobody_can_read_leaves_the_fallback() -> None:
    held = pool([{"text": f"The answer is {a}.", "answer": a} for a in "aabbb"])

    class Mute(SimulatedBackend):
        def _reply(self, *_: Any) -> Any:
            return self.world.say(None, "gold", random.Random(0))

    found = replayed(held, "universal_self_consistency", roles={"judge": Mute(SURE)}, n=5)
    assert found.answer == "b"
    assert found.usage.calls == 6


def test_a_recording_is_no_judge() -> None:
    held = pool([{"text": f"The answer is {a}.", "answer": a} for a in "aabbb"])
    with pytest.raises(PoolMiss, match="no judge was recorded"):
        replayed(held, "universal_self_consistency", n=5)
    with pytest.raises(PoolMiss, match="a run asks for two"):
        replayed(held, "xmbr", n=4, m=1, hedge=False, utility="answers")
    with pytest.raises(PoolMiss, match="no temperatures were recorded"):
        replayed(held, "hedged", n=5)
    with pytest.raises(PoolMiss, match="kept only their answers"):
        replayed(pool([{"answer": a} for a in "aabbb"]), "universal_self_consistency", n=5)


# NoThinking


def test_nothinking_begins_after_an_empty_thought() -> None:
    result = ran("nothinking", n=3)
    begun = thinking.skipped(thinking.FINISHED)
    assert [each.prefix for each in result.samples] == [begun] * 3
    assert all("<think>" not in each.text for each in result.samples)
    other = ran("nothinking", n=1, opening="", closing="[/T]", thought="So.").samples[0]
    assert other.prefix == "So.\n[/T]\n\n"


def test_nothinking_takes_the_marks_of_the_model() -> None:
    class Knows(SimulatedBackend):
        @property
        def capabilities(self) -> Any:
            from dataclasses import replace

            return replace(super().capabilities, thinking=("", "</t>"))

    async def main() -> Result:
        async with Session(Knows(SURE), task=SURE.task) as session:
            return await session.solve(SURE.problems[0], "nothinking", n=1)

    assert asyncio.run(main()).samples[0].prefix == f"{thinking.FINISHED}\n</t>\n\n"


def test_nothinking_forces_an_answer_at_the_budget() -> None:
    result = ran("nothinking", SURE, n=3, tokens=2, answer_tokens=30)
    first, forced = result.samples[:3], result.samples[3:]
    assert [each.finish for each in first] == [Finish.LENGTH] * 3
    assert [each.tokens for each in first] == [2] * 3
    assert [each.prefix for each in forced] == [each.whole + "\n\nFinal Answer: " for each in first]
    assert result.answer == "gold"
    assert (result.usage.samples, result.usage.calls) == (6, 6)
    short = ran("nothinking", SURE, n=3, tokens=2, answer_tokens=1)
    assert short.answer is None
    assert max(each.tokens or 0 for each in short.samples) == 2


def test_nothinking_is_not_replayed_from_thinking() -> None:
    with pytest.raises((Unsupported, PoolMiss), match="prefix"):
        replayed(pool([{"text": "t", "answer": "a"}]), "nothinking", n=1)


def test_several_submissions_are_right_if_one_is() -> None:
    from outthink import evaluate

    budgets = ["8 samples"]
    for k, right in ((1, 0.0), (2, 0.0), (3, 1.0)):
        found = evaluate(
            RATED.problems, strategies=["best_of_majority"], budgets=budgets, model=RATED.backend(), task=RecordedTask(RATED),
            verifier=RecordedScores(), parameters={"best_of_majority": {"k": k, "alpha": 0.0}},
        )  # fmt: skip
        assert found.row("best_of_majority").accuracy == right, "c and b are over-scored, a is right"
