"""Carries out what a request asks for: its place, its journal, its run, and the answers that come of it, best first.

How answers are written is the protocols'; waiting for clients is `reply`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink import tasks
from outthink.core.capability import Needs
from outthink.core.errors import BackendError, BadInput, MissingRole, OutthinkError, Unsupported
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Result, Selection, Stop
from outthink.core.strategy import strategy
from outthink.core.task import Task
from outthink.gateway import known
from outthink.gateway.conversation import Conversation
from outthink.gateway.counting import Counting
from outthink.gateway.gateway import Gateway
from outthink.gateway.messages import problem_of
from outthink.gateway.refusal import Refusal, refusal_of
from outthink.gateway.seams import Asked
from outthink.parts.thinking import without_thinking
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.listening import Listener
from outthink.runtime.spec import Bindings, RunSpec


@strategy("each")
async def each(run: Run, problem: Problem, n: int = 1) -> Selection:
    """n samples, all of them given back: what `n` of OpenAI's protocol means where no strategy is asked for. The first stands for
    all of them where one is shown."""
    drawn = await run.all([lambda child: child.generate(problem)] * n)
    first = next((sample for samples in drawn for sample in samples or ()), None)
    return Selection(first.text or None, sample=first) if first is not None else Selection(None)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer to give back.

    text:    its text, or None where it only calls tools
    message: what else the model's message holds: tool_calls, refusal, ...
    logprobs: as the server wrote them, where the client asked for them
    votes:   weight of its class, where there was a vote
    """

    text: str | None
    finish: str
    message: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str = ""
    logprobs: Any = None
    answer: str | None = None
    votes: float | None = None

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Its tool calls."""
        found = self.message.get("tool_calls")
        return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Job:
    """A request, ready to run: what was asked, and the task that tells its answers apart.

    said: the client's own fields that named parts of it; see `choosing.Chosen` and `settings.named_by`
    """

    asked: Asked
    problem: Problem
    conversation: Conversation
    said: Mapping[str, str] = field(default_factory=dict)


def job_of(asked: Asked, said: Mapping[str, str] | None = None) -> Job:
    """The job of a request. Raises UnknownName or BadInput for its task, also where that can't read what is asked."""
    task, problem = tasks.load(asked.task) if asked.task and asked.task != "conversation" else None, problem_of(asked.prompt)
    if task is not None:
        _read(task, problem)
    form = Conversation(asked.prompt, task, tools=asked.tools, must_call=asked.must_call, is_json=asked.is_json)
    return Job(asked, problem, form, said or {})


def _read(task: Task, problem: Problem) -> None:
    try:
        task.prompt(problem)
    except BadInput as error:
        why = str(error).removeprefix(f"{error.where}: ")
        raise BadInput(f"{task.name} can't read what is asked: {why}", where="task") from None


def bindings(job: Job) -> Bindings:
    """What the run's roles are bound to. Raises UsageError for a combination that can't work."""
    asked, model = job.asked, job.asked.model
    bound = Bindings(
        task=job.conversation,
        endpoints=model.endpoints,
        verifiers={"verifier": known.verifier(asked.verifier, model.verifiers)} if asked.verifier else {},
        others=model.others,
        sampling={"generator": asked.sampling},
    )
    try:
        bound.check(asked.strategy, asked.budget, asked.parameters)
    except MissingRole as error:
        how = 'name one in the body: "outthink": {"verifier": "judge"}' if error.role == "verifier" else "ask whoever runs it"
        message = f"{asked.strategy.name} needs a {error.role} and the model {model.name} has none; {how}"
        raise Refusal(400, message, code="missing_role", param="outthink") from None
    return bound


async def carry_out(gateway: Gateway, job: Job, bound: Bindings, counting: Counting, listener: Listener) -> Result:
    """Run it to its end. Raises Refusal; being cancelled frees everything that it had under way."""
    asked = job.asked
    spec = RunSpec(
        asked.name, asked.strategy.name, job.problem, asked.budget, asked.parameters, asked.seed, gateway.next_ordinal()
    )
    gateway.under_way += 1
    try:
        async with gateway.admission.place(asked), gateway.records.journal(asked) as journal:
            run = Interpreter(
                spec,
                asked.strategy,
                bound,
                ledger=gateway.ledger,
                journal=journal,
                around=asked.caller.scope,
                listener=listener,
            )
            return await run.run()
    except Refusal:
        raise
    except OutthinkError as error:
        refusal = refusal_of(error)
        if isinstance(error, BadInput) and not counting.total.calls:  # a strategy that refuses what the client set
            refusal.param = job.said.get("parameters") or job.said.get("strategy")
        elif isinstance(error, Unsupported) and error.setting:
            refusal.param = job.said.get(error.setting)
        raise spent(refusal, counting) from None
    finally:
        gateway.under_way -= 1


def answers_of(job: Job, result: Result, counting: Counting) -> list[Answered]:
    """The answers to give back, best first. Raises Refusal where there is none.

    Of n answers the first is the chosen one, then one of each further class in the order of the votes, then further samples of
    the classes in that order. A sample whose text states no answer that the task knows (a question back, a greeting) is given
    back only where no sample states one, and never where a form (JSON, a tool call) was asked for; that of `single` always is.
    """
    selection, wanted = result.selection, job.asked.choices
    candidates = [sample for sample in result.samples if not any(step < 0 for step in sample.key.path)]
    if job.asked.strategy is each:
        found = [answered(sample) for sample in candidates[:wanted]]
    elif selection is not None and selection.answer is not None:
        found = [_chosen(selection, job)]
    elif job.asked.strategy.name == "single":  # passed on as it is, even where all that it may take went into reasoning
        found = [answered(sample) for sample in candidates if not sample.partial][:1]
    elif result.stop in (Stop.FINISHED, Stop.BUDGET) and not job.conversation.structured:
        steps = Needs.STEPS in job.asked.strategy.needs  # whose samples are pieces of an answer, but for the last
        whole = [s for s in candidates if s.text and not s.partial and (not steps or s.finish is Finish.EOS)]
        found = [answered(sample) for sample in whole][:1]
    else:
        found = []
    if not found:
        raise spent(_why_none(job, result, counting), counting)
    return found


def side_by_side(job: Job, result: Result, counting: Counting) -> list[Answered]:
    """Of `each`, one answer for every index that a stream began with: one that was cut, or not even begun, ends by its length.

    Raises Refusal where one broke: then it is neither whole nor as long as was allowed.
    """
    drawn = {sample.key.path[0]: answered(sample) for sample in result.samples if sample.key.path and sample.key.path[0] >= 0}
    if result.stop is Stop.FAILED and len(drawn) < job.asked.choices:
        raise spent(_why_none(job, result, counting), counting)
    return [drawn.get(index, Answered("", "length")) for index in range(job.asked.choices)]


def _chosen(selection: Selection, job: Job) -> Answered:
    votes = selection.votes.get(selection.answer_class or "")
    if selection.sample is None:
        return Answered(selection.answer, "stop", answer=selection.answer_class, votes=votes)
    return answered(selection.sample, selection.answer_class, votes)


def answered(sample: Sample, answer: str | None = None, votes: float | None = None) -> Answered:
    """A sample as an answer."""
    message = dict(sample.meta["message"]) if isinstance(sample.meta.get("message"), dict) else {}  # type: ignore[call-overload]
    text: str | None = sample.text
    if sample.prefix:  # a prefix that skips thinking is no part of the answer
        text = without_thinking(sample.whole).lstrip() if "</think>" in sample.prefix else sample.whole
    if "content" in message:
        text = message.pop("content")
    if message.get("refusal") == text:
        text = None
    finish = "length" if sample.finish in (Finish.LENGTH, Finish.CANCELLED) else "stop"
    if finish == "stop" and ("tool_calls" in message or "function_call" in message):
        finish = "tool_calls" if "tool_calls" in message else "function_call"
    reasoning = sample.meta.get("reasoning")
    return Answered(
        text,
        finish,
        message,
        reasoning if isinstance(reasoning, str) else "",
        sample.meta.get("logprobs"),
        answer,
        votes,
    )


async def ranked(job: Job, result: Result, counting: Counting) -> list[Answered]:
    """`answers_of`, with as many as the client wants."""
    found = answers_of(job, result, counting)
    asked, selection = job.asked, result.selection
    if asked.choices == 1 or asked.strategy is each or selection is None or selection.answer_class is None:
        return found[: asked.choices]
    samples = [s for s in result.samples if not any(step < 0 for step in s.key.path) and not s.partial]
    known = list(selection.votes)
    told = await job.conversation.answers(job.problem, [sample.whole for sample in samples], known)
    order = {name: at for at, name in enumerate(dict.fromkeys([selection.answer_class, *known]))}
    of_class: dict[str, list[Sample]] = {}
    for sample, answer in zip(samples, told, strict=True):
        if answer.answer_class is not None and (selection.sample is None or sample.key != selection.sample.key):
            of_class.setdefault(answer.answer_class, []).append(sample)
    classes = sorted(of_class, key=lambda name: order.get(name, len(order)))
    first = [(name, of_class[name].pop(0)) for name in classes if name != selection.answer_class]
    rest = [(name, sample) for name in classes for sample in of_class[name]]
    more = [answered(sample, name, selection.votes.get(name)) for name, sample in [*first, *rest]]
    return [*found, *more][: asked.choices]


def spent(refusal: Refusal, counting: Counting) -> Refusal:
    """The refusal, with what was spent before it."""
    if counting.total.calls:
        refusal.usage = counting.usage()
    return refusal


def _why_none(job: Job, result: Result, counting: Counting) -> Refusal:
    """Why there is no answer, as a status."""
    if result.stop is Stop.BUDGET:
        if result.reason.startswith(f"the {job.asked.caller.scope.name} budget"):
            return Refusal(429, result.reason, code="insufficient_quota", headers={"X-Should-Retry": "false"})
        status = 504 if "budget of seconds" in result.reason else 402
        return Refusal(status, result.reason, code="budget_exceeded", headers={"X-Should-Retry": "false"})
    error: BackendError | None = counting.error
    if error is not None:
        return refusal_of(error)
    return Refusal(
        502,
        f"{result.reason or 'the model gave nothing that can be used'} ({len(result.samples)} samples arrived)",
        code="no_valid_answer",
        headers={"X-Should-Retry": "false"},
    )
