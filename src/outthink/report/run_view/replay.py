"""Steps a run's strategy over what its journal holds, and notes what belongs to what: which sample got which answer and score.

A journal holds outcomes by their place in the strategy's program, so the program is what says what they were for. Nothing is
asked of a model, and nothing is written: the first operation without a recorded outcome ends the replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Never

from outthink import catalogue, tasks
from outthink.core.backend import Completion, Request
from outthink.core.budget import NOTHING, Budget, Prices, Usage
from outthink.core.capability import Capabilities
from outthink.core.errors import Cut, JournalMismatch, OutthinkError
from outthink.core.key import Key
from outthink.core.operation import Generate, Invoke, Next, Operation, Score
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.core.selection import Offer, Selection, Stop
from outthink.core.step import Steps
from outthink.core.strategy import Strategy
from outthink.core.task import Task
from outthink.report.run_view.reading import Found, Setting
from outthink.runtime.clock import run_virtually
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.history import History
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.recorded import Recorded
from outthink.runtime.rows import Outcome, Row
from outthink.runtime.spec import Bindings, RunSpec
from outthink.runtime.streams import Stream

Place = tuple[tuple[int, ...], int]


@dataclass(slots=True)
class Step:
    """One operation of the run. `outcome`: the JSON of a score or call; a generation's is its samples."""

    place: Place
    kind: str
    role: str
    n: int | None = None
    method: str = ""
    outcome: Any = None
    done: bool = False


@dataclass(slots=True)
class Story:
    """What the replay found.

    answers: text and class (None: invalid) by sample
    scores:  of each sample, in order of scoring: (place of the Score, role, number)
    why_not: why there is no replay, or "" where it went through as far as the journal goes
    """

    steps: list[Step] = field(default_factory=list)
    answers: dict[Key, tuple[str | None, str | None]] = field(default_factory=dict)
    scores: dict[Key, list[tuple[Place, str, float | None]]] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    selection: Selection | None = None
    reason: str = ""
    why_not: str = ""


_BY_TEXTS = "the strategy went by texts, and they were changed as they were recorded"
_OTHER_WAY = "replayed, the strategy goes another way than it did: its code or its settings have changed since"


def replay(found: Found, what: Setting, known: Mapping[str, Strategy] = {}) -> Story:
    """The run's story; what can't be replayed has a `why_not`. Not to be called where an event loop runs: use a thread.

    known: strategies that the catalogue hasn't
    """
    if what.strategy is None:
        return Story(why_not="the journal doesn't name the strategy that made it")
    # Only names that are installed here: a journal from elsewhere can't make us import what it likes.
    if what.strategy not in known and what.strategy not in catalogue.strategies():
        return Story(why_not=f"the strategy {what.strategy} is not installed here")
    story, other_way = Story(), _BY_TEXTS if found.header.get("texts") else _OTHER_WAY
    try:
        strategy = known.get(what.strategy) or catalogue.strategy(what.strategy)
        story.reason = run_virtually(_replayed(_spec(found, what, strategy), strategy, found, story))
    except JournalMismatch:
        return Story(why_not=other_way)
    except OutthinkError as error:
        told = found.error
        if told and (told == str(error) or found.header.get("texts")):  # it ended as it did then
            story.reason = told
            return story
        return Story(why_not=f"it can't be replayed with this version of Outthink: {error}")
    ended = found.state not in (None, Stop.CANCELLED)
    reached = {step.place for step in story.steps}
    missed = any(at[:2] not in reached for at in found.recorded.samples if all(part >= 0 for part in at[0]))
    answer = story.selection.answer if story.selection is not None else None
    return Story(why_not=other_way) if ended and (missed or answer != found.answer) else story


async def _replayed(spec: RunSpec, strategy: Strategy, found: Found, story: Story) -> str:
    run = _Replay(spec, strategy, found, story)
    reason = ""
    try:
        result = await run.run()
        story.selection, reason = result.selection, result.reason
    except Unrecorded:
        pass
    finally:
        story.offers = tuple(run.books.offers)
    return reason


def _spec(found: Found, what: Setting, strategy: Strategy) -> RunSpec:
    # JSON has no tuples.
    tuples = {name for name, default in strategy.parameters.items() if isinstance(default, tuple)}
    parameters = {name: tuple(each) if name in tuples else each for name, each in what.parameters.items()}
    seed = found.header.get("seed")
    budget = Budget() if what.budget in (None, "", "no limit") else Budget.parse(str(what.budget))
    problem = Problem(what.problem[1] or what.problem[0] or "unknown", id=what.problem[0])
    return RunSpec(found.name, strategy.name, problem, budget, parameters, seed if isinstance(seed, int) else 0)


class Unrecorded(Cut):
    """The journal goes no further."""


class _Replay(Interpreter):
    """An interpreter that has nothing but a journal."""

    def __init__(self, spec: RunSpec, strategy: Strategy, found: Found, story: Story) -> None:
        self._story, self._texts = story, dict[str, list[Key]]()
        self._steps: dict[Place, Step] = {}
        header, ledger = found.header, Ledger()
        named = header.get("sampling")
        bindings = Bindings(
            task=_task(header.get("task"), spec.problem),
            endpoints=_Endpoints(ledger),
            sampling={role: _sampling(values) for role, values in named.items()} if isinstance(named, dict) else {},
            steps=_steps(header.get("steps")),
        )
        journal = _Recorded(found.recorded)
        super().__init__(spec, strategy, bindings, ledger=ledger, journal=journal, around=Scope("dataset", Budget()))
        self.history = _Believed(journal, self.name)
        self.history.redacted = header.get("texts") not in (None, "keep")
        # A verifier that made calls left their samples inside its Score, whose path ends below 0.
        self.scoring_calls = any(path and path[-1] < 0 for path, _, _ in found.recorded.samples)

    async def _perform(self, operation: Operation) -> Any:
        if isinstance(operation, Next) and self.history.outcome(operation) is None:
            raise Unrecorded("the journal goes no further")
        return await super()._perform(operation)

    async def carry_out(self, operation: Generate | Score | Invoke, stream: Stream | None = None) -> Any:
        key = operation.key
        step = Step((key.path, key.seq), operation.kind, operation.role)
        self._story.steps.append(step)
        if isinstance(operation, Generate):
            step.n = operation.n
        elif self.history.outcome(operation) is None:
            raise Unrecorded("the journal goes no further")
        outcome = await super().carry_out(operation, stream)
        step.done = True
        if isinstance(operation, Generate):
            for sample in outcome.samples:
                self._texts.setdefault(sample.whole, []).append(sample.key)
        elif isinstance(operation, Score):
            step.outcome = outcome
            for sample, score in zip(operation.samples, outcome, strict=True):
                self._story.scores.setdefault(sample.key, []).append((step.place, operation.role, score))
        else:
            step.method, step.outcome = operation.method, outcome
            if (operation.role, operation.method) == ("task", "answers"):
                self._note_answers(operation.payload["texts"], outcome)
        return outcome

    def _note_answers(self, texts: list[str], answers: list[Any]) -> None:
        for text, (said, answer_class) in zip(texts, answers, strict=True):
            for key in self._texts.get(text, ()):
                self._story.answers[key] = (said, answer_class)

    async def _score(self, operation: Score) -> list[float | None]:
        """What the verifier once said, without stepping it: it may not be installed here."""
        found = self.history.outcome(operation)
        assert found is not None  # `carry_out` looked
        usage = Usage(**found.value["usage"])
        self.books.deliver((*operation.key.path, -1 - operation.key.seq), usage if usage != NOTHING else NOTHING)
        scores: list[float | None] = found.value["scores"]
        return scores


class _Believed(History):
    """A history that is believed whatever the prompts were: they may need a task that isn't here.

    Answers and scores tell a difference. redacted: no digest of a text holds any more
    """

    redacted = False

    def samples(self, key: Key, digest: str) -> list[Row]:
        return self.before.of(key.path, key.seq) if self.before is not None else []

    def outcome(self, operation: Operation) -> Outcome | None:
        if (isinstance(operation, Generate) or self.redacted) and self.before is not None:
            return self.before.outcomes.get((operation.key.path, operation.key.seq))
        return super().outcome(operation)


class _Recorded(Journal):
    """A journal that gives one run and keeps nothing."""

    def __init__(self, found: Recorded) -> None:
        super().__init__(None)
        self._found = found

    def recorded(self, run: str) -> Recorded | None:
        return self._found


class _Nobody:
    """A backend that can do everything and is never there."""

    name = "nobody"
    prices: Prices | None = Prices(0.0, 0.0)
    capabilities = Capabilities(
        raw=True, n=1, seed=True, logprobs=1000, prefix=True, stream=True, cancel=True, exact_cancel=True, prompt_logprobs=True,
        token_ids=True, guided=True, thinking=("<think>", "</think>"),
    )  # fmt: skip

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def prompt_bound(self, prompt: Prompt) -> int:
        """Of no matter: nothing is sent."""
        return 0

    async def complete(self, request: Request) -> Completion:
        """Every request is one that the journal doesn't hold."""
        raise Unrecorded("the journal goes no further")


class _Endpoints(dict[str, Endpoint]):
    """Every role that is asked for, bound to nobody."""

    def __init__(self, ledger: Ledger) -> None:
        self._nobody = Endpoint(_Nobody(), ledger)

    def __contains__(self, role: object) -> bool:
        return True

    def __missing__(self, role: str) -> Endpoint:
        self[role] = self._nobody
        return self._nobody


class _Stub:
    """A task that isn't installed here: only its prompts are asked for, and they are sent to nobody."""

    name = "unknown"
    sampling: Mapping[str, Any] = {}

    def prompt(self, problem: Problem) -> Prompt:
        return Prompt.chat(problem.text)

    async def answers(self, *_: object) -> Never:
        raise Unrecorded("the journal goes no further")

    grade = answers


def _task(name: object, problem: Problem) -> Task:
    if isinstance(name, str) and name in tasks.names():
        try:
            task = tasks.load(name)
            task.prompt(problem)
            return task
        except OutthinkError:  # an extra that isn't installed, or a problem whose text alone doesn't do
            pass
    return _Stub()


def _sampling(values: object) -> Sampling:
    if not isinstance(values, dict):
        return Sampling()
    return Sampling().but(**{**values, "stop": tuple(values.get("stop") or ())})


def _steps(values: object) -> Steps | None:
    """The recorded step rule; what says that a text is finished is the task's own."""
    return Steps(*values[:3]) if isinstance(values, list) and values[3:] == [None] else None
