"""What every strategy keeps to, as a test class. Needs pytest.

In a test module of the package that brings the strategies:

    from outthink.testing.contract import StrategyContract

    class TestMyStrategies(StrategyContract):
        strategies = ["my_strategy"]

Each law is a test of its own; `exempt` lets a strategy off one of them, with a reason. Figures that only the strategy's
author can know (what it reaches in a toy world) go into `reached`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from outthink import catalogue
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, OracleRefused
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.selection import Result, Stop
from outthink.core.task import Answer
from outthink.testing.simulated import Faults, Pace
from outthink.testing.trees import Node, StepTask, TreeWorld
from outthink.testing.trials import SCORES, Case, N, Trial, cases, commits, paid, told, trial
from outthink.testing.worlds import Odds, ToyTask, World
from outthink.verifiers.exact import Exact

Chances = Callable[[Mapping[str, float], Mapping[str, float], int], Mapping[str | None, float]]
"""From the probabilities of answers, the toy verifier's scores and n to the exact probability of each choice."""


class StrategyContract:
    """The laws.

    strategies: names; None: every strategy of the catalogue
    variants:   further parameters to try, by strategy
    alone:      parameters that make a strategy take one sample, by strategy, where that isn't n=1
    reached:    exact chances by the strategy's name, or by the whole case ("self_certainty-rule=best")
    exempt:     reasons why a strategy can't keep a law, by (strategy, name of the test)
    """

    strategies: ClassVar[Sequence[str] | None] = None
    variants: ClassVar[Mapping[str, Sequence[Mapping[str, Any]]]] = {}
    alone: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    reached: ClassVar[Mapping[str, Chances]] = {}
    exempt: ClassVar[Mapping[tuple[str, str], str]] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per law and case."""
        law = metafunc.function.__name__
        found = []
        for name in self.strategies if self.strategies is not None else catalogue.strategies():
            reason = self.exempt.get((name, law))
            assert reason is None or reason.strip(), f"the exemption of {name} from {law} needs a reason"
            marks = [] if reason is None else [pytest.mark.skip(reason=reason)]
            found += [pytest.param(case, id=str(case), marks=marks) for case in cases(name, self.variants.get(name, ()))]
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", found)

    def test_it_says_what_it_is(self, case: Case) -> None:
        """A summary that is a sentence, and a paper with its title, or neither."""
        assert case.strategy.summary.endswith((".", ")"))
        assert bool(case.strategy.paper) == bool(case.strategy.title)
        assert set(case.parameters) <= set(case.strategy.bound(case.parameters))

    def test_any_schedule_gives_the_same_answer(self, case: Case) -> None:
        """Neither the order of arrival, nor concurrency, nor samples per request change anything but prompt tokens."""
        if case.strategy.races:
            pytest.skip("it races: only its journalled order repeats")
        first = trial(case).done
        assert first.stop is Stop.FINISHED
        paces: list[dict[str, Any]] = [{"pace": Pace(spread=0.9, seed=seed)} for seed in range(1, 5)]
        for schedule in (*paces, {"concurrency": 1}, {"concurrency": 2}):
            other = trial(case, **schedule).done
            assert (told(other), paid(other)) == (told(first), paid(first))
            assert other.repeatable == first.repeatable
        assert told(trial(case, n=N).done) == told(first)

    def test_a_journal_replays_without_a_call(self, case: Case, tmp_path: Path) -> None:
        """The same run again: identical in everything but the time it takes, and nothing is asked of the model."""
        first = trial(case, journal=tmp_path / "run.db").done
        again = trial(case, journal=tmp_path / "run.db", pace=Pace(seed=7))
        assert again.backend.calls == 0
        assert (told(again.done), paid(again.done)) == (told(first), paid(first))
        assert again.done.usage == first.usage

    def test_a_crash_anywhere_can_be_resumed(self, case: Case, tmp_path: Path) -> None:
        """From every state that a crash can leave: the same answer, and nothing recorded is asked for again."""
        with commits(tmp_path / "run.db") as states:
            whole = trial(case, journal=tmp_path / "run.db")
        # Many short replies, of a judge or of single steps, may come in the same instant, and are then committed together.
        assert len(states) >= (N if case.judged or case.stepwise else whole.backend.calls), (
            "each sample arrives, and is committed, on its own"
        )
        for at, state in enumerate(states):
            path = tmp_path / f"{at}.db"
            path.write_bytes(state)
            recorded = _arrived(path)
            resumed = trial(case, journal=path, pace=Pace(spread=0.9, seed=at))
            rest = whole.backend.calls - recorded
            assert resumed.backend.calls <= rest if case.strategy.races else resumed.backend.calls == rest
            # What was under way at the crash may have cost something: it stays charged.
            assert resumed.done.usage.calls >= whole.done.usage.calls
            if not case.strategy.races:
                assert resumed.done.usage.tokens == whole.done.usage.tokens
                assert told(resumed.done) == told(whole.done)
            again = trial(case, journal=path)
            assert (again.backend.calls, told(again.done)) == (0, told(resumed.done))

    def test_leaving_at_any_time_frees_the_server(self, case: Case, tmp_path: Path) -> None:
        """A run that is cancelled leaves no request behind, and a journal from which it can go on."""
        whole = trial(case)
        for part in range(1, 12):
            path = tmp_path / f"{part}.db"
            left = trial(case, journal=path, leave_after=whole.done.wall_seconds * part / 12)
            assert (left.result, left.backend.in_flight, left.backend.is_open) == (None, 0, False)
            resumed = trial(case, journal=path).done
            if not case.strategy.races:
                assert told(resumed) == told(whole.done)

    @pytest.mark.parametrize("dimension", ["samples", "calls", "prompt_tokens", "completion_tokens", "tokens", "seconds"])
    def test_no_budget_is_exceeded(self, case: Case, dimension: str) -> None:
        """At every possible spend: within the limit, nothing left open, and an answer or a reason."""
        full = trial(case).done
        most = full.wall_seconds if dimension == "seconds" else getattr(full.usage, dimension)
        steps = min(25, max(1, math.ceil(most))) if dimension != "seconds" else 12
        for step in range(1, steps + 1):
            limit = most * step / steps if dimension == "seconds" else max(1, most * step // steps)
            limits: dict[str, Any] = {dimension: limit}
            for parameters in ({}, {"n": None}) if case.parallel else ({},):
                try:
                    found = trial(case.but(**parameters), budget=Budget(**limits))
                except BadInput as refusal:  # a strategy may know no way to fill a budget, or one of this kind
                    if parameters and ("n=None" in str(refusal) or ".n: None" in str(refusal)):
                        continue
                    raise
                _within(found, dimension, limit)

    def test_the_offers_are_its_curve(self, case: Case) -> None:
        """A run that may take as many samples as an offer took gives that offer's answer (but for who chooses once among all)."""
        full = trial(case).done
        assert full.offers
        assert full.offers[-1].selection.answer == full.answer
        spent = [offer.usage for offer in full.offers]
        assert all(one.samples <= other.samples and one.tokens <= other.tokens for one, other in itertools.pairwise(spent))
        assert (spent[-1].samples, spent[-1].tokens) == (full.usage.samples, full.usage.tokens) or not case.parallel
        for at, offer in enumerate(full.offers if case.strategy.curve else (), start=1):
            if case.parallel:
                assert trial(case.but(n=at)).done.answer == offer.selection.answer
            else:
                assert trial(case, budget=Budget(samples=offer.usage.samples)).done.answer == offer.selection.answer

    def test_one_sample_is_single(self, case: Case) -> None:
        """With a single sample there is nothing to choose."""
        if case.stepwise:
            pytest.skip("each of its steps has a seed of its own")
        how = self.alone.get(case.strategy.name, {"n": 1} if case.parallel else {})
        for seed in range(6):
            one = trial(case.but(**how), seed=seed).done
            single = trial(Case(catalogue.strategy("single")), seed=seed).done
            assert (one.answer, one.samples[0].text) == (single.answer, single.samples[0].text)

    def test_a_sure_world_is_answered_rightly(self, case: Case) -> None:
        """Where every sample is right so is the answer; where none holds an answer there is none, and a reason."""
        easy: World = World({"easy": Odds("gold", {"gold": 1.0})})
        if case.stepwise:
            sides = {name: Node(0.5, 0.5, {"gold": Node(1.0, 0.9)}) for name in ("left", "right")}
            easy = TreeWorld.grown({"easy": ("gold", Node(below=sides))})
        sure = trial(case, world=easy).done
        assert (sure.answer, sure.stop) == ("gold", Stop.FINISHED)
        silent: World = World({"mute": Odds("gold", {})}, mends=0.0, sensitivity=1.0)
        if case.stepwise:
            silent = TreeWorld.grown({"mute": ("gold", Node(below={"gold": Node(0.0, 0.5)}))}, mends=0.0)
        mute = trial(case, world=silent).done
        assert mute.answer is None
        assert mute.reason

    def test_it_reaches_what_it_should(self, case: Case) -> None:
        """In a world small enough to try every outcome the choices have the probabilities that they should have."""
        chances = self.reached.get(str(case), self.reached.get(case.strategy.name))
        if chances is None or case.judged:
            pytest.skip("nobody said what it should reach")
        answers = {"gold": 0.5, "lead": 0.3}
        draws: dict[str | None, float] = {"gold": 0.5, "lead": 0.3, None: 0.2}
        n = 3 if case.parallel else 1
        found: dict[str | None, float] = dict.fromkeys(draws, 0.0)
        for script in itertools.product(draws, repeat=n):
            result = trial(case.but(n=n) if case.parallel else case, script=script).done
            found[result.answer] += math.prod(draws[answer] for answer in script)
        assert found == pytest.approx(dict(chances(answers, SCORES, n)))

    def test_a_failed_sample_counts_as_little_as_an_invalid_one(self, case: Case) -> None:
        """Whichever samples fail, the others answer as if those had held no answer."""
        if not case.parallel or case.judged or case.stepwise:
            pytest.skip("it doesn't draw a number of samples, or its judge's calls would fail with them")
        script = ["lead", "gold", "tin", "gold"]
        for broken in itertools.chain.from_iterable(itertools.combinations(range(N), k) for k in range(N)):
            failed = trial(case, script=script, faults=Faults(broken=frozenset(broken))).done
            invalid = trial(case, script=[None if at in broken else answer for at, answer in enumerate(script)]).done
            assert len(failed.failed) == len(broken)
            assert (failed.answer, failed.stop) == (invalid.answer, Stop.FINISHED)
            assert failed.selection is not None
            assert invalid.selection is not None
            assert failed.selection.votes == invalid.selection.votes

    def test_too_few_samples_are_a_reason_and_no_answer(self, case: Case) -> None:
        """Where all samples fail, or fewer than the quorum arrive, the run says so."""
        none = trial(case, faults=Faults(permanent=1.0)).done
        assert (none.answer, none.stop) == (None, Stop.FAILED)
        assert "bad request" in none.reason
        if "quorum" in case.strategy.parameters:
            few = trial(case.but(quorum=N - 1), faults=Faults(broken=frozenset({0, 1}))).done
            assert (few.answer, few.stop, len(few.failed)) == (None, Stop.FAILED, 2)
            assert "2 samples arrived and 3 are needed" in few.reason

    def test_failed_attempts_change_no_answer(self, case: Case) -> None:
        """Attempts that are refused, break or give nothing usable are repeated; budgets hold all the same."""
        if case.strategy.races:
            pytest.skip("it races: what fails first changes what comes first")
        calm = trial(case).done
        for seed in range(3):
            shaky = trial(case, faults=Faults(refused=0.15, lost=0.1, withheld=0.1), pace=Pace(spread=0.9, seed=seed))
            assert told(shaky.done) == told(calm)
            assert shaky.done.usage.calls == shaky.backend.calls
            known = shaky.done.usage
            assert known.prompt_tokens <= shaky.backend.served_prompt_tokens <= known.prompt_tokens + known.unknown_prompt_tokens
            served = shaky.backend.served_completion_tokens
            assert known.completion_tokens <= served <= known.completion_tokens + known.unknown_completion_tokens

    def test_gold_is_never_seen(self, case: Case) -> None:
        """Another gold answer, or none, changes nothing, even under a task that would tell it; an oracle is refused."""
        told_of = _TellTaleSteps() if case.stepwise else _TellTale()
        problem, world = case.world.problems[0], replace(case.world, task=told_of)
        first = trial(case, world=world, problem=problem).done
        for other in (problem.without_gold(), Problem(problem.text, problem.id, gold="tin")):
            result = trial(case, world=world, problem=other).done
            assert (told(result), paid(result), result.usage) == (told(first), paid(first), first.usage)
        if case.verifier is not None:
            with pytest.raises(OracleRefused, match="gold"):
                trial(case, verifier=Exact())


class _TellTale(ToyTask):
    """Puts the gold answer, where it sees one, into prompts and answers."""

    def prompt(self, problem: Problem) -> Prompt:
        return Prompt.chat(f"{problem.text} {problem.gold}")

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        found = await super().answers(problem, texts, known)
        return found if problem.gold is None else [Answer(problem.gold, problem.gold)] * len(found)


class _TellTaleSteps(_TellTale):
    steps = StepTask.steps


def _arrived(path: Path) -> int:
    """Samples whose outcome a journal holds."""
    from outthink.runtime.recorded import read_rows

    return sum(row.state == "ok" for _, row in read_rows(path))


def _within(found: Trial, dimension: str, limit: float) -> None:
    result, backend = found.done, found.backend
    used = result.usage
    spent = {
        "samples": used.samples,
        "calls": used.calls,
        "prompt_tokens": used.prompt_tokens + used.unknown_prompt_tokens,
        "completion_tokens": used.completion_tokens + used.unknown_completion_tokens,
        "tokens": used.most_tokens,
        "seconds": result.wall_seconds,
    }
    assert spent[dimension] <= limit + 1e-9
    served = {
        "calls": backend.calls,
        "prompt_tokens": backend.served_prompt_tokens,
        "completion_tokens": backend.served_completion_tokens,
        "tokens": backend.served_prompt_tokens + backend.served_completion_tokens,
    }
    assert served.get(dimension, 0) <= limit
    assert backend.in_flight == 0
    assert _accounted(result), f"no answer and no reason at {limit} {dimension}"


def _accounted(result: Result) -> bool:
    return bool(result.answer is not None or result.reason)
