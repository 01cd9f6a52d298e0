"""What most users need: `solve` one problem, `evaluate` strategies on many. Both have async twins and keep nothing global."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from outthink import catalogue
from outthink.core.backend import Backend
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, OracleRefused, PoolMiss, UnknownName, shortly
from outthink.core.given import by_name, whole
from outthink.core.problem import Problem
from outthink.core.selection import Result, Stop
from outthink.core.strategy import Strategy
from outthink.core.task import Task
from outthink.core.verifier import Verifier
from outthink.runtime.clock import run_virtually
from outthink.runtime.spec import RunSpec
from outthink.session import DEFAULT_TASK, Session

if TYPE_CHECKING:
    from outthink.report.evaluation import Evaluation

T = TypeVar("T")


async def solve_async(
    problem: Problem | str,
    *,
    model: str | Path | Backend = "embedded",
    strategy: str | Strategy = "majority",
    budget: Budget | str | int | None = None,
    task: str | Task = DEFAULT_TASK,
    verifier: str | Verifier | None = None,
    parameters: Mapping[str, Any] | None = None,
    journal: str | Path | None = None,
    **session: Any,
) -> Result:
    """Answer one problem.

    budget:     "16 samples", "20k tokens, 30s", 16, or None: then the strategy's own n decides
    parameters: the strategy's, such as {"n": 16}
    journal:    a file that makes the run resumable; the same call again pays nothing twice
    session:    further settings, see `Session`: sampling, roles, concurrency, retry, prices, seed, ...

    Raises UsageError, and BackendError where the model can't be reached; what goes wrong in the run is in `Result.reason`.
    """
    if session.get("oracle"):
        raise OracleRefused("`solve` never looks at gold answers; `evaluate` does")
    asked, found, limit = Problem.of(problem), catalogue.strategy(strategy), Budget.of(budget)
    chosen = dict(by_name("parameters", parameters))
    if (not limit.limits() and chosen.get("n", 0) is None) or (
        "n" in found.parameters and "n" not in chosen and not limit.limits()
    ):
        raise BadInput(f"give a budget such as '16 samples', or {found.name} an n", where="budget")
    header = {
        "kind": "solve",
        "strategy": found.name,
        "parameters": found.bound(chosen),
        "budget": str(limit),
        "problems": [asked.id, asked.text],
    }
    made = Session(model, task=task, verifier=verifier, journal=journal, header=header, **session)
    async with made.only_for([(found, chosen)]) as opened:
        return await opened.solve(asked, found, limit, **chosen)


def solve(problem: Problem | str, **settings: Any) -> Result:
    """`solve_async` for code that isn't async; works inside a running event loop (a notebook) too."""
    return run_anywhere(solve_async(problem, **settings), virtual=_replays(settings))


async def evaluate_async(
    problems: Iterable[Problem | str],
    *,
    strategies: Sequence[str | Strategy] | str | Strategy = ("single", "majority"),
    budgets: Sequence[Budget | str | int] | Budget | str | int = ("1 sample", "2 samples", "4 samples", "8 samples"),
    model: str | Path | Backend = "embedded",
    task: str | Task = DEFAULT_TASK,
    verifier: str | Verifier | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    replicates: int = 1,
    journal: str | Path | None = None,
    progress: Callable[[int, int, Result], None] | None = None,
    notes: Mapping[str, Any] | None = None,
    **session: Any,
) -> Evaluation:
    """Measure strategies on problems at several budgets: accuracy with intervals against what it cost.

    Each strategy runs once per problem and replicate, at the largest budget; what it offered on the way answers the smaller
    ones. Budgets that aren't bounds of one and the same dimension get runs of their own, and so does every budget of a strategy
    that chooses once among all samples (`Strategy.curve`).

    parameters: by strategy name
    replicates: runs per problem and strategy, with seeds of their own
    progress:   called after each run with (runs done, runs in all, its result)
    The other arguments are those of `solve_async`. Raises UsageError, BackendError; a PoolMiss ends its own run only, and is
    raised where it ended every run.
    """
    from outthink.evaluation.rows import PLAIN
    from outthink.problems import load
    from outthink.report.evaluation import Evaluation

    loaded = load(problems)
    found = [catalogue.strategy(each) for each in _listed("strategies", strategies)]
    limits = [Budget.of(budget) for budget in _listed("budgets", budgets)]
    whole("replicates", replicates, 1)
    if not found or not limits:
        raise BadInput("give at least one strategy and one budget", where="evaluate")
    _once("strategy", [each.name for each in found])
    _once("budget", [str(limit) for limit in limits])
    given = _by_strategy(parameters, found)
    plans = [(each, plan) for each in found for plan in run_budgets(limits, curve=each.curve)]
    header = {
        "kind": "evaluate",
        "strategies": {each.name: each.bound(given[each.name]) for each in found},
        "budgets": [str(limit) for limit in limits],
        "problems": loaded.fingerprint,
        "replicates": replicates,
    }

    def specs() -> Iterator[tuple[RunSpec, tuple[Budget, ...], int]]:
        ordinal = 0
        for problem in loaded:
            for each, (most, shown) in plans:
                for replicate in range(replicates):
                    name = f"{each.name}@{most}/{problem.id}/{replicate}"
                    yield (
                        RunSpec(name, each.name, problem, most, given[each.name], opened.seed, ordinal),
                        shown,
                        replicate,
                    )
                    ordinal += 1

    total = len(loaded) * len(plans) * replicates
    plain_one = next((name for name in PLAIN if name in [each.name for each in found]), "")
    made = Session(model, task=task, verifier=verifier, journal=journal, header=header, notes=notes, oracle=True, **session)
    async with made.only_for([(each, given[each.name]) for each in found]) as opened:
        _check_all(opened, [(each, most, given[each.name]) for each, (most, _) in plans])
        evaluation = Evaluation(model=opened.model, task=opened.task.name, source=loaded.source)
        waiting: dict[str, tuple[tuple[Budget, ...], int]] = {}

        def plain() -> Iterator[RunSpec]:
            for spec, shown, replicate in specs():
                waiting[spec.name] = shown, replicate
                yield spec

        done, ends = 0, _Ends()
        async for spec, result in opened.runs(plain(), strategies=found, keep_samples=True):
            shown, replicate = waiting.pop(spec.name)
            oracle = any(each.oracle for each in opened.bindings.verifiers.values()) and "scores" in _needs(found, spec.strategy)
            between = rungs(shown) if spec.strategy == plain_one else ()
            await evaluation.add(
                opened.task, spec.problem, result, budgets=shown, rungs=between, replicate=replicate, oracle=oracle
            )
            done += 1
            ends.add(result)
            if progress is not None:
                progress(done, total, result)
        evaluation.notes += ends.told(total)
    return evaluation


def evaluate(problems: Iterable[Problem | str], **settings: Any) -> Evaluation:
    """`evaluate_async` for code that isn't async; works inside a running event loop (a notebook) too."""
    return run_anywhere(evaluate_async(problems, **settings), virtual=_replays(settings))


def run_budgets(budgets: Sequence[Budget], *, curve: bool = True) -> list[tuple[Budget, tuple[Budget, ...]]]:
    """The budgets that need runs, each with the budgets that its runs answer for (without a `curve`: itself alone)."""
    bounded = {tuple(budget.limits()) for budget in budgets}
    if curve and len(bounded) == 1 and len(next(iter(bounded))) == 1 and bounded != {("seconds",)}:
        return [(max(budgets, key=lambda budget: next(iter(budget.limits().values()))), tuple(budgets))]
    return [(budget, (budget,)) for budget in budgets]


def rungs(budgets: Sequence[Budget]) -> list[Budget]:
    """Budgets between these, a factor of the square root of 2 apart: what the plain strategy is measured at besides, so that
    what others spend is not compared with a mixture of two budgets far apart."""
    if len(budgets) < 2:
        return []
    (dimension,) = budgets[0].limits()
    given, whole = sorted(budget.limits()[dimension] for budget in budgets), dimension != "usd"
    steps = [given[-1] / 2 ** (step / 2) for step in range(1, 40)]
    between = sorted({round(step) if whole else step for step in steps if step > given[0]} - {*given})
    limits: list[dict[str, Any]] = [{dimension: step} for step in between]
    return [Budget(**limit) for limit in limits]


def run_anywhere(main: Coroutine[Any, Any, T], *, virtual: bool = False) -> T:
    """Run a coroutine to its end: here, or in a thread of its own where this thread already runs an event loop.

    virtual: on a clock that jumps instead of waiting, for replays and simulations
    """
    run = run_virtually if virtual else _run
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run(main)
    box: list[T] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            box.append(run(main))
        except BaseException as error:  # noqa: BLE001  # carried to the caller's thread, whatever it is
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return box[0]


def _run(main: Coroutine[Any, Any, T]) -> T:
    """On uvloop where it is installed (the extra `fast`): the same, with less work per request."""
    make: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as make
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(main)


def _listed(what: str, given: Any) -> Sequence[Any]:
    """Several, or a single one that stands without brackets: a text is no sequence of letters."""
    if isinstance(given, (str, int, Budget, Strategy)):
        return [given]
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise BadInput(f"is {shortly(given)} and must be one or a list of them", where=what)
    return list(given)


def _once(what: str, named: Sequence[str]) -> None:
    if twice := [name for name in dict.fromkeys(named) if named.count(name) > 1]:
        raise BadInput(f"the {what} {twice[0]!r} is given twice", where="evaluate")


def _by_strategy(parameters: object, strategies: Sequence[Strategy]) -> dict[str, dict[str, Any]]:
    """The parameters of each of these strategies. Raises UnknownName for those of another one."""
    given: dict[str, dict[str, Any]] = {each.name: {} for each in strategies}
    for name, values in by_name("parameters", parameters).items():
        if (plain := name.replace("-", "_")) not in given:
            raise UnknownName("strategy of this evaluation", name, given)
        given[plain] = dict(by_name(f"parameters of {name}", values))
    return given


def _check_all(session: Session, runs: Iterable[tuple[Strategy, Budget, Mapping[str, Any]]]) -> None:
    """Raise what the check of each run would, before the first of them spends anything."""
    for strategy, budget, parameters in runs:
        session.bindings.check(strategy, budget, parameters)


class _Ends:
    """The runs of an evaluation that didn't come to their own end."""

    def __init__(self) -> None:
        self._missed, self._failed, self._cut = list[str](), list[str](), 0

    def add(self, result: Result) -> None:
        if result.stop is Stop.FAILED:
            (self._missed if result.missed else self._failed).append(f"{result.problem_id}: {result.reason}")
        self._cut += result.stop is Stop.BUDGET and result.reason.startswith("the dataset budget")

    def told(self, total: int) -> list[str]:
        """What a reader must know of them. Raises PoolMiss where each of them asked for what was never recorded."""
        missed, failed, cut, said = self._missed, self._failed, self._cut, list[str]()
        by_then = "and count with what they had offered by then, or as wrong"
        if missed and len(missed) == total:
            raise PoolMiss(f"each of the {total} runs asked for what was never recorded; the first, of problem {missed[0]}")
        if missed:
            first = f"the first, of problem {missed[0]}"
            said.append(f"{len(missed)} of {total} runs asked for what was never recorded, {by_then}; {first}")
        if failed:
            said.append(f"{len(failed)} of {total} runs failed; the first, of problem {failed[0]}")
        if cut:
            said.append(f"{cut} of {total} runs were ended by the budget of the whole evaluation, {by_then}")
        return said


def _needs(strategies: Sequence[Strategy], name: str) -> frozenset[str]:
    return frozenset(need.value for each in strategies if each.name == name for need in each.needs)


def _replays(settings: Mapping[str, Any]) -> bool:
    """Whether all that is waited for are recorded times; a live role beside a pool needs a real clock."""
    return bool(getattr(settings.get("model"), "virtual", False)) and not settings.get("roles")
