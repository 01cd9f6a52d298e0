"""From a body's fields to a job: the part of reading a request that all protocols share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outthink.core.errors import BadInput, UsageError
from outthink.core.prompt import Prompt
from outthink.gateway.body import Fields
from outthink.gateway.choosing import Chosen, Place, choose
from outthink.gateway.gateway import Gateway
from outthink.gateway.refusal import refusal_of, said_by
from outthink.gateway.runs import Job, bindings, each, job_of
from outthink.gateway.seams import Asked, Caller
from outthink.gateway.settings import counts_tokens, named_by, settings_of
from outthink.runtime.spec import Bindings

MOST_CHOICES = 128
LEAST_SEED, MOST_SEED = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request before it was understood.

    id:      its own, for logs and headers
    began:   when its last byte was read, in seconds of the process's clock
    created: the same in seconds since 1970
    """

    gateway: Gateway
    caller: Caller
    place: Place
    id: str
    began: float
    created: int
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A job that may run, and what its answer's writer wants to know."""

    job: Job
    bound: Bindings
    chosen: Chosen


@dataclass(frozen=True, slots=True)
class Form:
    """What a request says about the form of its answers.

    prompt:  makes the prompt from the fields that go to the server as they are
    tools, must_call, is_json: see `Conversation`
    """

    protocol: str
    prompt: Callable[[Mapping[str, Any]], Prompt]
    tools: bool = False
    must_call: bool = False
    is_json: bool = False


def prepared(arrival: Arrival, fields: Fields, chosen: Chosen, form: Form, *, stream: bool) -> Ready:
    """Decide the rest: sampling, seeds, how many answers. Whatever is left in the fields goes to the server as it is.

    Raises Refusal, UsageError; nothing is spent.
    """
    strategy, parameters = chosen.choice.strategy, dict(chosen.parameters)
    assert strategy is not None
    single = strategy.name == "single"
    wanted = fields.whole("n", 1, MOST_CHOICES) or 1
    if single and wanted > 1:
        strategy, parameters = each, {"n": wanted}
    elif chosen.samples is not None and wanted > chosen.samples:
        error = BadInput(f"{wanted} answers are asked for, and the strategy draws {chosen.samples} samples")
        raise refusal_of(error, "n")
    seed = fields.whole("seed", LEAST_SEED, MOST_SEED)
    limits = [chosen.budget.limits(), *(scope.budget.limits() for scope in arrival.caller.scope.chain)]
    context = chosen.model.generator.backend.capabilities.context
    settings = settings_of(
        fields,
        chosen.model.sampling,
        single=single,
        bounded=any(counts_tokens(each_limit) for each_limit in limits),
        max_tokens=min(chosen.model.max_tokens, context // 2) if context else chosen.model.max_tokens,
    )
    extra = {**fields.left, **dict.fromkeys(settings.left_open)}
    if single and wanted == 1 and seed is not None:
        extra["seed"] = seed
    asked = Asked(
        id=arrival.id,
        protocol=form.protocol,
        caller=arrival.caller,
        model=chosen.model,
        strategy=strategy,
        parameters=parameters,
        budget=chosen.budget,
        prompt=form.prompt(extra),
        sampling=settings.sampling,
        task=chosen.task,
        verifier=chosen.verifier,
        seed=seed or 0,
        name=arrival.id if seed is None else "seeded",
        choices=wanted,
        stream=stream,
        tools=form.tools,
        must_call=form.must_call,
        is_json=form.is_json,
        record=chosen.record,
        trace=arrival.trace,
    )
    with said_by(chosen.said.get("task")):
        job = job_of(asked, {**chosen.said, **named_by(fields)})
    try:
        bound = bindings(job)
    except UsageError as error:
        about = "budget" if getattr(error, "where", "") == "budget" else "strategy"
        raise refusal_of(error, chosen.said.get(about)) from None
    return Ready(job, bound, chosen)


def must_call(fields: Fields) -> bool:
    """Whether a chat's `tool_choice` demands a call. Raises Refusal."""
    choice = fields.left.get("tool_choice")
    if choice in (None, "none", "auto"):
        return False
    if choice != "required" and not isinstance(choice, dict):
        raise fields.refuse("tool_choice", '"none", "auto", "required" or an object')
    if not fields.left.get("tools"):
        raise fields.refuse("tool_choice", "left out where no tools are given")
    if choice == "required":
        return True
    allowed = choice.get("allowed_tools")
    return not isinstance(allowed, dict) or allowed.get("mode") == "required"


def begun(arrival: Arrival, fields: Fields) -> Chosen:
    """The model and the strategy of a request."""
    return choose(arrival.gateway, arrival.caller, arrival.place, fields)


def note_of(ready: Ready, outcome: Any) -> dict[str, Any]:
    """What a reply says about the run, beside OpenAI's own fields."""
    result, selection = outcome.result, outcome.result.selection
    found: dict[str, Any] = {
        "strategy": result.strategy if ready.job.asked.strategy is not each else "single",
        "parameters": dict(ready.job.asked.parameters),
        "request_id": ready.job.asked.id,
        "stop": str(result.stop),
        "seconds": round(result.wall_seconds, 6),
    }
    if result.reason:
        found["reason"] = result.reason
    if selection is not None and selection.answer is not None and ready.job.asked.strategy is not each:
        found |= {"answer": selection.answer, "confidence": selection.confidence, "tie": selection.tie}
        if len(selection.votes) > 1 or result.usage.samples > 1:
            found["votes"] = dict(list(selection.votes.items())[:MOST_CHOICES])
    return found
