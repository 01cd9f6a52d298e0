"""What is bound and nothing uses is refused before anything is spent: it was mistyped."""

from __future__ import annotations

import math
from typing import Any

import pytest

import outthink
from outthink.core.budget import Prices
from outthink.core.errors import BadInput, MissingRole, UnknownName
from outthink.record import record
from outthink.runtime.batch import Retry
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trials import SCORES, WORLD
from outthink.testing.worlds import ToyVerifier
from outthink.verifiers.judge import Judge

TOY = ToyVerifier(SCORES)


def backends() -> tuple[SimulatedBackend, dict[str, Any]]:
    model = SimulatedBackend(WORLD)
    return model, {"model": model, "task": WORLD.task}


@pytest.mark.parametrize(
    ("strategies", "how", "message"),
    [
        ("majority", {"roles": {"judge": "tiny"}}, "no role used by majority is called 'judge'; known: none"),
        ("best_of_n", {"verifier": Judge(), "roles": {"jugde": "tiny"}}, r"or by verifier judge.* 'jugde'; did you mean judge\?"),
        ("universal_self_consistency", {"roles": {"jugde": "tiny"}}, r"did you mean judge\?"),
        ("ab_mcts_a", {"verifier": TOY, "roles": {"large": "tiny"}}, "known: none"),
        (["majority", "chops"], {"roles": {"planner": object()}}, "used by majority and chops is called 'planner'; known: judge"),
    ],
)
def test_a_role_that_nothing_uses_is_refused(strategies: Any, how: dict[str, Any], message: str) -> None:
    model, given = backends()
    with pytest.raises(UnknownName, match=message):
        outthink.evaluate(WORLD.problems, strategies=strategies, budgets=4, **given, **how)
    if isinstance(strategies, str):
        with pytest.raises(UnknownName, match=message):
            outthink.solve(WORLD.problems[0], strategy=strategies, budget=4, **given, **how)
    assert model.calls == 0


def test_a_role_that_any_of_several_uses_is_fine() -> None:
    judge, (_, given) = SimulatedBackend(WORLD, name="judge"), backends()
    outthink.evaluate(WORLD.problems, strategies=["majority", "chops"], budgets="9 samples", **given, roles={"judge": judge})
    assert judge.calls
    other, parameters = SimulatedBackend(WORLD, name="other"), {"roles": ["generator", "large"]}
    outthink.solve(
        WORLD.problems[0], strategy="ab_mcts_a", budget=6, verifier=TOY, roles={"large": other}, parameters=parameters, **given
    )
    assert other.calls, "parameters say which roles there are"


def test_a_verifier_that_nothing_asks_is_refused(tmp_path: Any) -> None:
    model, given = backends()
    with pytest.raises(
        BadInput, match=r"verifier: toy would never be asked: no samples are scored by majority; .* such as best_of_n"
    ):
        outthink.solve(WORLD.problems[0], budget=4, verifier=TOY, **given)
    with pytest.raises(BadInput, match="no samples are scored by record"):
        record(WORLD.problems, tmp_path / "pool.parquet", samples=2, provenance="toy", licence="CC0-1.0", verifier=TOY, **given)
    assert model.calls == 0
    outthink.evaluate(WORLD.problems, strategies=["majority", "best_of_n"], budgets=4, verifier=TOY, **given)


def test_a_missing_verifier_is_told_before_any_strategy_runs() -> None:
    """Also where the first one needs none."""
    model, given = backends()
    with pytest.raises(MissingRole, match="best_of_n needs the role 'verifier'"):
        outthink.evaluate(WORLD.problems, strategies=["majority", "best_of_n"], budgets=4, roles={"judge": "tiny"}, **given)
    assert model.calls == 0


def test_parameters_of_a_strategy_that_is_not_evaluated_are_refused() -> None:
    model, given = backends()
    with pytest.raises(UnknownName, match=r"no strategy of this evaluation is called 'majorty'; did you mean majority\?"):
        outthink.evaluate(WORLD.problems, strategies="majority", budgets=4, parameters={"majorty": {"quorum": 2}}, **given)
    assert model.calls == 0


@pytest.mark.parametrize("role", ["generator", "verifier", "task", "grader"])
def test_what_has_an_argument_of_its_own_is_no_role(role: str) -> None:
    with pytest.raises(BadInput, match=f"roles: {role}: is no role to give away"):
        Session(SimulatedBackend(WORLD), task=WORLD.task, roles={role: SimulatedBackend(WORLD)})


def test_a_session_may_use_later_what_it_does_not_use_now() -> None:
    """But not what looks like a slip, by which the generator itself would judge."""

    async def main() -> None:
        judge = SimulatedBackend(WORLD, name="judge")
        async with Session(SimulatedBackend(WORLD), task=WORLD.task, roles={"judge": judge, "planner": judge}) as session:
            await session.solve(WORLD.problems[0], "majority", n=2)
            assert judge.calls == 0
            await session.solve(WORLD.problems[0], "universal_self_consistency", n=16)
            assert judge.calls
        async with Session(SimulatedBackend(WORLD), task=WORLD.task, roles={"jugde": judge}) as session:
            with pytest.raises(UnknownName, match=r"did you mean judge\?"):
                await session.solve(WORLD.problems[0], "universal_self_consistency", n=4)

    run_virtually(main())


@pytest.mark.parametrize(
    ("setting", "wrong", "message"),
    [
        ("oracle", "no", "oracle: is 'no' and must be True or False"),
        ("journal", 5, "journal: is 5"),
        ("notes", ["a"], "notes: is"),
        ("header", "a", "header: is 'a'"),
        ("probed", 3, "probed: is 3"),
        ("prices", Prices(1, 1), "made already and has its own"),
        ("engine", "vllm", "made already and has its own"),
        ("model", 7, "7 names no model"),
    ],
)
def test_what_a_session_cannot_use_is_refused_at_once(setting: str, wrong: Any, message: str) -> None:
    _, given = backends()
    with pytest.raises(BadInput, match=message):
        Session(**{**given, setting: wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"attempts": 1.5}, {"base": -1}, {"base": None}, {"longest": math.nan}, {"timeout": 0}, {"timeout": "1m"}],
)
def test_retries_are_counts_and_seconds(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(wrong))}(:| is)"):
        Retry(**wrong)
    assert Retry(timeout=None, base=0).timeout is None


@pytest.mark.parametrize("wrong", [1.5, None, {"majority": 1}, b"majority", object()])
def test_several_are_a_list(wrong: Any) -> None:
    model, given = backends()
    with pytest.raises(BadInput, match=r"strategies: is .* and must be one or a list of them"):
        outthink.evaluate(WORLD.problems, strategies=wrong, budgets=4, **given)
    with pytest.raises(BadInput, match=r"budgets: is .* and must be one or a list of them"):
        outthink.evaluate(WORLD.problems, budgets=wrong, **given)
    assert model.calls == 0


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 1.5}, {"samples": 0}, {"every": "5"}, {"every": 0}, {"logprobs": -1}, {"logprobs": True}, {"journal": 3}],
)
def test_a_recording_is_of_whole_numbers(wrong: dict[str, Any], tmp_path: Any) -> None:
    model, given = backends()
    settings = {"samples": 2, "provenance": "toy", "licence": "CC0-1.0", **given, **wrong}
    with pytest.raises(BadInput, match=f"^{next(iter(wrong))}: is "):
        record(WORLD.problems, tmp_path / "pool.parquet", **settings)
    assert model.calls == 0
