"""Generate, Score and Invoke through the interpreter: budgets, failures, and what a strategy may do wrong."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink.core.backend import Completion, Request
from outthink.core.budget import Budget, Prices
from outthink.core.errors import (
    BadInput,
    BudgetCut,
    InternalError,
    Lost,
    Permanent,
    PoolMiss,
    QuorumNotMet,
    Refused,
    Unreachable,
)  # fmt: skip
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Result, Selection, Stop
from outthink.runtime.batch import Retry
from outthink.runtime.recorded import read_rows
from outthink.session import Session
from outthink.testing.simulated import Faults, Pace, SimulatedBackend
from tests.runtime.running import PROBLEM, WORLD, backend, chosen, run, written


def takes(n: int | None, **settings: Any) -> Any:
    async def body(run: Run, problem: Problem) -> Selection:
        samples = await run.generate(problem, n, **settings)
        return chosen(f"{len(samples)} {len(samples.failed)} {samples.cut}")

    return body


class Scripted(SimulatedBackend):
    """Answers a call by a rule of the test's, else as ever."""

    def __init__(self, rule: Any, **settings: Any) -> None:
        super().__init__(WORLD, **{"pace": Pace(spread=0.5), **settings})
        self.rule = rule

    async def complete(self, request: Request) -> Completion:
        answered = self.rule(self, request)
        if isinstance(answered, BaseException):
            self.calls += 1
            raise answered
        return answered if answered is not None else await super().complete(request)


@pytest.mark.parametrize("dimension", ["completion_tokens", "prompt_tokens", "tokens", "seconds", "usd", "samples", "calls"])
@pytest.mark.parametrize("n", [None, 4])
def test_a_budget_of_nothing_and_next_to_nothing(dimension: str, n: int | None) -> None:
    for limit in (0, 1e-7 if dimension == "usd" else 1):
        model = backend(prices=Prices(1.0, 1.0))
        if limit == 0:
            with pytest.raises(BadInput, match="admits nothing at all"):
                run(takes(n), Budget(**{dimension: limit}), model=model)
            assert model.calls == 0
            continue
        result = run(takes(n), Budget(**{dimension: limit}), model=model)
        used = result.usage
        spent = {"completion_tokens": used.completion_tokens, "tokens": used.most_tokens, "usd": used.usd or 0.0}
        spent |= {"prompt_tokens": used.prompt_tokens, "samples": used.samples, "calls": used.calls}
        spent["seconds"] = result.wall_seconds
        assert spent[dimension] <= limit + 1e-9
        if dimension in ("tokens", "prompt_tokens", "usd"):
            assert (result.stop, model.calls) == (Stop.BUDGET, 0)
            assert dimension.replace("_", " ") in result.reason
        assert model.in_flight == 0


def test_none_fills_the_budget_and_an_explicit_number_is_a_cap() -> None:
    assert run(takes(None), 10).answer == "10 0 False", "filling a budget of samples is no cut"
    assert run(takes(4), 10).answer == "4 0 False"
    assert run(takes(20), 10).answer == "10 0 True"
    with pytest.raises(BadInput, match="n=None fills the budget, and there is none"):
        run(takes(None))
    for width in (1, 3, 8):
        model = backend(n=width)
        result = run(takes(None), "10 samples, 5 calls", model=model)
        assert result.usage.samples == min(10, 5 * width)
        assert result.usage.calls <= 5


def test_tokens_are_filled_and_never_passed() -> None:
    for limit in (47, 100, 250, 1000):
        model = backend()
        result = run(takes(None), Budget(tokens=limit), model=model)
        served = model.served_prompt_tokens + model.served_completion_tokens
        assert result.usage.tokens == served <= limit
        assert served > limit - 47, "what is left wouldn't hold a prompt and a whole sample"
        assert result.cut


def test_a_deadline_keeps_what_was_finished() -> None:
    model = backend(pace=Pace(first=0.5, per_token=0.1, spread=0.9))
    result = run(takes(16), "1.5s", model=model)
    assert result.answer is not None
    arrived, _, cut = result.answer.split()
    assert 0 < int(arrived) < 16
    assert (cut, model.in_flight, result.repeatable) == ("True", 0, False)
    assert result.wall_seconds == pytest.approx(1.5)
    assert result.usage.unknown_completion_tokens == (16 - int(arrived)) * 40
    assert len(result.samples) == int(arrived)


def test_after_the_deadline_nothing_is_sent_but_answers_are_counted() -> None:
    model = backend(pace=Pace(first=1.0, per_token=0.0))

    async def body(run: Run, problem: Problem) -> Selection:
        samples = await run.generate(problem, 3)
        counted = await run.answers(problem, samples)
        run.offer(chosen(len(counted)))
        await run.generate(problem, 100)
        return chosen("never")

    # The deadline is met to the tick by the samples themselves.
    result = run(body, "1s", model=model)
    assert model.calls <= 3
    assert result.stop is Stop.BUDGET


def test_a_quorum_and_partial_failures() -> None:
    some = Faults(broken=frozenset({1, 3}))
    assert run(takes(5), model=backend(faults=some)).answer == "3 2 False"
    few = run(takes(5, quorum=4), model=backend(faults=some))
    assert few.stop is Stop.FAILED
    assert few.reason == "3 samples arrived and 4 are needed; 2 failed: this sample always fails"
    assert [failure.key.index for failure in few.failed] == [1, 3]
    assert few.usage.samples == 3, "what was paid is told all the same"

    async def body(run: Run, problem: Problem) -> Selection:
        try:
            await run.generate(problem, 5, quorum=4)
        except QuorumNotMet as error:
            return chosen(len(error.samples))
        return chosen()

    assert run(body, model=backend(faults=some)).answer == "3"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_refuses_everything_is_raised_and_can_be_mended(tmp_path: Path, status: int) -> None:
    mended = []

    def rule(model: Any, request: Request) -> Exception | None:
        return None if mended or model.calls < 3 else Permanent("invalid key", status=status)

    model = Scripted(rule, pace=Pace())
    with pytest.raises(Permanent, match="invalid key"):
        run(takes(200), "200 samples, 9k completion tokens", model=model, journal=tmp_path / "j.db", concurrency=4)
    assert model.calls <= 3 + 4
    mended.append(True)
    result = run(takes(200), "200 samples, 9k completion tokens", model=model, journal=tmp_path / "j.db", concurrency=4)
    assert result.answer == "200 0 False"


@pytest.mark.parametrize(("n", "budget"), [(None, "3 samples"), (None, "50 samples"), (40, None)])
def test_a_server_that_is_gone_is_given_up_at_once_and_a_resume_goes_on(
    tmp_path: Path, n: int | None, budget: str | None
) -> None:
    gone = [True]

    def rule(model: Any, request: Request) -> Exception | None:
        return Refused("no connection to http://x: refused", overloaded=True) if gone else None

    model = Scripted(rule, pace=Pace())
    with pytest.raises(Unreachable, match=r"no connection to http://x: refused \(6 attempts, and nobody else was answered"):
        run(takes(n), budget, model=model, journal=tmp_path / "j.db", concurrency=4)
    asked = min(n or 50, int((budget or "40").split()[0]))
    assert 6 <= model.calls <= 6 * asked
    gone.clear()
    result = run(takes(n), budget, model=model, journal=tmp_path / "j.db", concurrency=4)
    assert result.answer == f"{asked} 0 False"
    assert result.usage.unknown_completion_tokens == 0, "what was refused is known to have cost nothing"
    assert result.wall_seconds < 30


def test_only_what_was_tried_again_says_so() -> None:
    errors = [Lost("broken"), Permanent("no such parameter", status=400)]
    result = run(takes(1), model=Scripted(lambda *_: errors.pop(0)))
    assert result.failed[0].reason == "no such parameter"
    result = run(takes(1), model=Scripted(lambda *_: Lost("broken")), retry=Retry(attempts=2))
    assert result.failed[0].reason == "broken (after 2 attempts)"


def test_a_bad_request_is_one_samples_own_and_not_tried_again() -> None:
    model = Scripted(lambda *_: Permanent("no such parameter", status=400))
    result = run(takes(3), model=model)
    assert (model.calls, result.usage.calls, result.usage.most_tokens) == (3, 3, 0)
    assert "no such parameter" in result.reason
    model = Scripted(lambda *_: Permanent("no", status=400))
    assert run(takes(None), "1k samples", model=model, concurrency=2).stop is Stop.FAILED
    assert model.calls < 50, "filling a budget with failures is given up"


def test_a_missing_or_withheld_piece_is_asked_for_again() -> None:
    result = run(takes(6), model=backend(faults=Faults(withheld=0.2), n=3))
    assert result.answer == "6 0 False"

    def fewer(model: Any, request: Request) -> Completion | None:
        return Completion((), prompt_tokens=5, completion_tokens=7) if len(request.seeds) > 1 and model.calls == 0 else None

    class Short(Scripted):
        async def complete(self, request: Request) -> Completion:
            whole = await super().complete(request)
            keep = max(1, len(whole.pieces) - 1)
            return Completion(whole.pieces[:keep], whole.prompt_tokens, whole.completion_tokens)

    short = Short(lambda *_: None, n=4)
    result = run(takes(7), model=short)
    assert result.answer == "7 0 False"
    assert result.usage.completion_tokens == short.served_completion_tokens, "what was served and not sent is paid too"
    none = Scripted(lambda model, request: Completion((), prompt_tokens=5))
    result = run(takes(2), model=none, retry=Retry(attempts=2, base=0.1))
    assert result.stop is Stop.FAILED
    assert "the server sent 0 of 1 samples (after 2 attempts)" in result.reason
    assert (result.usage.calls, result.usage.unknown_completion_tokens) == (4, 4 * 40)


@pytest.mark.parametrize("told", [0, 1, 4])
def test_a_server_that_ignores_n_and_counts_nothing_may_have_generated_it_all(told: int) -> None:
    class Ignores(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            whole = await super().complete(request)
            return Completion(tuple(replace(piece, tokens=told or None) for piece in whole.pieces[:1]), prompt_tokens=5)

    result = run(takes(4), model=Ignores(WORLD, n=4), retry=Retry(base=0.1))
    # Requests for 4, 3, 2 and 1 samples: each may have generated as many.
    assert (result.usage.calls, result.usage.samples) == (4, 4)
    assert result.usage.unknown_completion_tokens == 40 * (3 + 2 + 1 + (0 if told else 4))
    assert result.usage.completion_tokens == 4 * told


def test_prompts_of_their_own() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        asked = [Prompt.chat(each.text) for each in WORLD.problems[:3]]
        samples = await run.generate(asked)
        assert len(samples) == 3
        with pytest.raises(BadInput):
            await run.generate(asked, 2)
        with pytest.raises(BadInput):
            await run.generate([])
        with pytest.raises(BadInput):
            await run.generate(problem, 0)
        longer = await run.extend(problem, samples)
        assert [each.prefix for each in longer] == [each.text for each in samples]
        return chosen("done")

    assert run(body).answer == "done"


@settings(max_examples=40)
@given(
    st.builds(Faults, refused=st.floats(0, 0.3), lost=st.floats(0, 0.3), withheld=st.floats(0, 0.3), permanent=st.floats(0, 0.1)),
    st.integers(1, 5), st.integers(0, 99),
    st.sampled_from([None, "12 samples", "600 tokens", "9 calls, 300 completion tokens", "2s"]),
)  # fmt: skip
def test_what_is_told_is_what_was_served(faults: Faults, width: int, seed: int, budget: str | None) -> None:
    model = backend(faults=faults, n=width, seed=seed)
    result = run(takes(20), budget, model=model)
    used, limit = result.usage, Budget.of(budget)
    assert used.calls == model.calls
    assert used.prompt_tokens <= model.served_prompt_tokens <= used.prompt_tokens + used.unknown_prompt_tokens
    assert used.completion_tokens <= model.served_completion_tokens <= used.completion_tokens + used.unknown_completion_tokens
    assert used.samples == len(result.samples)
    assert used.most_tokens <= (limit.tokens or 10**9)
    assert used.calls <= (limit.calls or 10**9)
    assert model.in_flight == 0


@pytest.mark.parametrize(
    ("budget", "faults"),
    [
        ("300 tokens", Faults()),
        ("9 samples", Faults(withheld=0.4)),
        ("6 calls", Faults(refused=0.4)),
        (None, Faults(permanent=0.9)),
    ],
)
def test_the_same_journal_gives_the_same_result(tmp_path: Path, budget: str | None, faults: Faults) -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        samples = await run.generate(problem, None if budget else 12)
        run.offer(chosen(len(samples)))
        return chosen([samples.cut, *(await run.generate(problem, 2))])

    first = run(body, budget, model=backend(faults=faults), journal=tmp_path / "j.db")
    model = backend(faults=faults, seed=9)
    again = run(body, budget, model=model, journal=tmp_path / "j.db")
    assert model.calls == 0
    for field in ("answer", "stop", "reason", "cut", "usage", "samples", "failed", "offers", "repeatable"):
        assert getattr(again, field) == getattr(first, field), field


def test_strategies_that_are_wrong() -> None:
    async def raises(run: Run, problem: Problem) -> Selection:
        await run.generate(problem)
        raise ValueError("my own bug")

    async def returns(run: Run, problem: Problem) -> Selection:
        return "a text"  # type: ignore[return-value]

    async def swallows(run: Run, problem: Problem) -> Selection:
        while True:
            with contextlib.suppress(Exception):
                await run.generate(problem, 3)

    result = run(raises)
    assert (result.stop, result.reason, result.usage.samples) == (Stop.FAILED, "strategy tested raised ValueError: my own bug", 1)
    with pytest.raises(InternalError, match="returned str, not a Selection"):
        run(returns)
    assert run(swallows, 7).stop is Stop.BUDGET


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_backend_with_a_bug_of_its_own_holds_nobody_up(attempt: int) -> None:
    def rule(model: Any, request: Request) -> Exception | None:
        if request.identity is None or request.identity.run != "p0":
            return None
        return KeyError("oops") if attempt == 1 or model.calls > 20 else Lost("broken")

    async def both(session: Session) -> Result:
        first = await session.solve(PROBLEM, written(takes(30)))
        assert (first.stop, "KeyError" in first.reason) == (Stop.FAILED, True)
        return await session.solve(WORLD.problems[1], written(takes(4)))

    settings: dict[str, Any] = {"retry": Retry(base=0.01), "around": both, "session_budget": "10k tokens"}
    result = run(takes(1), model=Scripted(rule), **settings)
    assert result.answer is not None
    assert result.answer.startswith("4 ")


def test_a_pool_miss_is_raised() -> None:
    with pytest.raises(PoolMiss, match="never recorded"):
        run(takes(3), "1k tokens", model=Scripted(lambda *_: PoolMiss("never recorded")))


def test_overload_is_waited_out() -> None:
    def rule(model: Any, request: Request) -> Exception | None:
        return Refused("slow down", status=429, retry_after=7.0, overloaded=True) if model.calls == 0 else None

    result = run(takes(2), model=Scripted(rule))
    assert (result.answer, result.usage.calls) == ("2 0 False", 3)
    assert result.wall_seconds > 7


def test_logprobs_come_as_declared() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        bare, kept = await run.generate(problem), await run.generate(problem, logprobs=LogprobNeed(3, keep=True))
        assert (bare[0].summary, bare[0].logprobs) == ({}, None)
        assert kept[0].logprobs is not None
        assert len(kept[0].logprobs) == kept[0].tokens
        assert set(kept[0].summary) > {"mean_logprob", "self_certainty"}
        return chosen(kept[0].finish is Finish.EOS)

    assert run(body).answer == "True"


def test_a_hostile_text_is_the_same_before_and_after_a_resume(tmp_path: Path) -> None:
    class Hostile(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            whole = await super().complete(request)
            return replace(whole, pieces=tuple(replace(piece, text="\ud800\x00 The answer is a.") for piece in whole.pieces))

    async def body(run: Run, problem: Problem) -> Selection:
        samples = await run.generate(problem, 2)
        return chosen([(await run.answers(problem, samples))[0].text, samples[0].text])

    answers = [run(body, model=Hostile(WORLD), journal=tmp_path / "j.db").answer for _ in range(2)]
    assert answers[0] == answers[1] == str(["a", "?\x00 The answer is a."])


def test_an_unknown_cut_says_whose_budget_it_was() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        child = run.child("2 samples")
        await child.generate(problem, 2)
        with pytest.raises(BudgetCut, match="the child run 0 budget of samples is spent") as caught:
            await child.generate(problem, 2)
        assert caught.value.path == (0,)
        assert (child.left.samples, child.spent.samples, run.spent.samples) == (0, 2, 2)
        return chosen(len(await run.generate(problem, 2)))

    assert run(body).answer == "2"


def test_an_answer_that_a_budget_cut_short_is_told_as_cut() -> None:
    result = run(takes(1), "8 completion tokens")
    assert result.samples[0].finish is Finish.LENGTH
    assert (result.answer, result.cut, result.repeatable) == ("1 0 True", True, False)
    short = run(takes(1), max_tokens=4)
    assert (short.samples[0].finish, short.cut) == (Finish.LENGTH, False), "the user's own limit is no cut"


@pytest.mark.parametrize("budget", [None, "1000s"])
def test_a_time_out_of_the_backends_own_is_no_deadline(budget: str | None) -> None:
    result = run(takes(2), budget, model=Scripted(lambda *_: TimeoutError("mine")))
    assert (result.stop, "TimeoutError: mine" in result.reason) == (Stop.FAILED, True)


def test_what_was_refused_takes_no_place_among_samples() -> None:
    asked: list[int] = []

    def rule(model: Any, request: Request) -> None:
        assert request.identity is not None
        asked.append(request.identity.ordinal)

    async def body(run: Run, problem: Problem) -> Selection:
        for _ in range(3):
            await run.child("2 samples").generate(problem, None)
        return chosen("done")

    assert run(body, model=Scripted(rule), concurrency=1).answer == "done"
    assert asked == list(range(6))


def test_what_a_withheld_sample_cost_is_journalled_at_once(tmp_path: Path) -> None:
    class Withholds(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            if len(request.seeds) == 1:
                await asyncio.sleep(1000)
            whole = await super().complete(request)
            return replace(whole, pieces=(whole.pieces[0], replace(whole.pieces[1], failed="withheld")))

    model = Withholds(WORLD, n=2)

    async def left(session: Session) -> Result:
        return await asyncio.wait_for(session.solve(PROBLEM, written(takes(2))), 100)

    with pytest.raises(TimeoutError):
        run(takes(2), model=model, around=left, journal=tmp_path / "j.db", retry=Retry(base=0.1))
    rows = [row for _, row in read_rows(tmp_path / "j.db")]
    assert [(row.index, row.state) for row in rows] == [(0, "ok"), (1, "paid")]
    assert all(row.usage.completion_tokens > 0 for row in rows)
