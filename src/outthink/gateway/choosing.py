"""Which strategy a request gets: its sources in their order, joined field by field. Prompts are never looked at.

The most specific source wins: the body's `outthink`, then other systems' fields in the body, headers, the model's name, the
path, the key's default, the model's default. A source that names a strategy brings its own parameters and number of samples; one
that doesn't only changes what it says (a header may lower the budget of the path's strategy).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outthink import tasks
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, UnknownName
from outthink.gateway import aliases, known
from outthink.gateway.body import Fields
from outthink.gateway.choice import Choice, read_choice, samples_of
from outthink.gateway.gateway import Gateway
from outthink.gateway.model import Model
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Caller

DEFAULT_SAMPLES = 16
"""Of a strategy that takes a number of samples, where nobody gives one, nor a budget to fill."""
PROGRESS = ("comments", "reasoning", "none")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request came in: what path and headers say of the strategy."""

    strategy: str = ""
    scorer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be run.

    given:    the budget that the client itself named, so that a strategy may fill it
    budget:   that, within what model and key allow
    samples:  how many samples the strategy was told to draw, or None
    progress: one of PROGRESS
    """

    model: Model
    choice: Choice
    parameters: Mapping[str, Any]
    budget: Budget
    samples: int | None
    task: str
    verifier: str
    progress: str
    record: bool | None
    called: str


def choose(gateway: Gateway, caller: Caller, place: Place, fields: Fields) -> Chosen:
    """Take `model` and everything about strategies out of the fields. Raises Refusal, UsageError."""
    named = fields.text("model", 1000)
    if named is None:
        raise Refusal(400, "model is missing; GET /v1/models lists what there is", param="model", code="missing_model")
    model, from_name = _model(gateway, caller, named)
    own = Fields(fields.table("outthink") or {}, "outthink")
    sources = [
        replace(read_choice(model.strategy, f"model {model.name}"), parameters=dict(model.parameters))
        if model.strategy
        else None,
        read_choice(caller.strategy, f"key {caller.name}") if caller.strategy else None,
        _of_path(place),
        from_name,
        *_of_headers(place.headers),
        aliases.of_body(fields),
    ]
    asked = sources[2:]  # by the client itself
    choice = Choice()
    for source in sources:
        choice = joined(choice, source) if source is not None else choice
    if (budget := fields.take("budget")) is not None:
        own.left.setdefault("budget", budget)
        if not any(each is not None and each.strategy is not None for each in asked) and own.left.get("strategy") is None:
            choice = aliases.with_n(replace(choice, strategy=None), aliases.of_its_hub(budget, "budget"))
            own.take("budget")
    choice = joined(choice, _of_own(own))
    task, verifier = own.text("task", 200), own.text("verifier", 200)
    progress = own.text("progress", 20) or place.headers.get("x-outthink-progress", "comments")
    if progress not in PROGRESS:
        raise own.refuse("progress", "one of: " + ", ".join(PROGRESS))
    record = own.truth("record") if "record" in own.left else _of_header("x-outthink-record", place.headers)
    own.take("n")
    if own.left:
        raise UnknownName("setting of outthink", next(iter(own.left)), _OWN)
    task = task if task is not None else place.headers.get("x-outthink-task")
    if task:
        _known("task", task, tasks.names())
    if verifier is not None:
        _known("verifier", verifier, known.verifiers())
    return _settled(gateway, caller, model, choice, task, verifier, progress, record, named)


_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_OWN = ("strategy", "n", "budget", "parameters", "task", "verifier", "progress", "record")


def joined(choice: Choice, over: Choice) -> Choice:
    """The choice with what a more specific source says."""
    if over.strategy is not None:
        kept = choice.budget if over.budget is None else over.budget
        return Choice(over.strategy, over.parameters, over.n, kept, over.verifier)
    parameters = {**choice.parameters, **over.parameters}
    n = choice.n if over.n is None else over.n
    return Choice(choice.strategy, parameters, n, over.budget or choice.budget, over.verifier or choice.verifier)


def _model(gateway: Gateway, caller: Caller, named: str) -> tuple[Model, Choice | None]:
    """The model of a name: itself, NAME@STRATEGY, or with a prefix of optillm's."""
    choice: Choice | None = None
    name = named
    if name not in gateway.models:
        if "@" in named:
            name, _, spelt = named.rpartition("@")
            if name in gateway.models:
                choice = read_choice(spelt, "model")
        elif (found := aliases.of_model_prefix(named, gateway.models)) is not None:
            choice, name = found
    model = gateway.model(name)
    if caller.models and model.name not in caller.models:
        allowed = [each for each in gateway.models if gateway.models[each].name in caller.models]
        raise Refusal(404, str(UnknownName("model for this key", name, allowed)), code="model_not_found", param="model")
    return model, choice


def _of_path(place: Place) -> Choice | None:
    if not place.strategy:
        return None
    try:
        if place.scorer or place.strategy in ("offline_bon", "online_bon", "offline_best_of_n", "self_consistency", "baseline"):
            return aliases.of_thinkbooster(place.strategy, place.scorer)
        return read_choice(place.strategy, "path")
    except UnknownName as error:
        raise Refusal(404, str(error), code="unknown_strategy") from None


def _of_headers(headers: Mapping[str, str]) -> list[Choice | None]:
    found: list[Choice | None] = []
    if text := headers.get("x-its-budget"):
        found.append(aliases.with_n(Choice(), aliases.of_its_hub(text, "X-ITS-Budget")))
    if text := headers.get("x-outthink-strategy"):
        found.append(read_choice(text, "X-Outthink-Strategy"))
    if text := headers.get("x-outthink-budget"):
        found.append(_of_budget(int(text) if re.fullmatch("[0-9]{1,9}", text) else text))
    return found


def _of_header(name: str, headers: Mapping[str, str]) -> bool | None:
    """Yes or no, or None where the header isn't there. A word that is neither is refused: it may have meant no."""
    said = headers.get(name)
    if said is None:
        return None
    if said.strip().lower() not in _WORDS:
        raise Refusal(400, f"{name} is {said[:40]!r} and must be one of: {', '.join(_WORDS)}", code="invalid_value", param=name)
    return _WORDS[said.strip().lower()]


def _of_own(own: Fields) -> Choice:
    """What the body's `outthink` says."""
    text = own.text("strategy", 500)
    choice = read_choice(text, "outthink.strategy") if text is not None else Choice()
    if (parameters := own.table("parameters")) is not None:
        choice = replace(choice, parameters={**choice.parameters, **parameters})
    if (n := own.left.get("n")) is not None:
        choice = replace(choice, n=samples_of(n, "outthink.n"))
    if (budget := own.take("budget")) is not None:
        said = _of_budget(budget)
        choice = replace(choice, n=choice.n if choice.n is not None else said.n, budget=said.budget or choice.budget)
    return choice


def _of_budget(budget: object) -> Choice:
    """A budget's text; a plain number, or samples, is the number of samples to draw."""
    limit = Budget.of(budget)  # type: ignore[arg-type]  # anything else is refused by it
    if limit.samples is not None:
        return Choice(
            n=samples_of(limit.samples, "budget"), budget=replace(limit, samples=None) if len(limit.limits()) > 1 else None
        )
    return Choice(budget=limit)


def _known(kind: str, name: str, names: Sequence[str]) -> None:
    """Clients name built-in things only: `package.module:object` would import what they say."""
    if name.replace("-", "_") not in names:
        raise UnknownName(kind, name, names)


def _settled(
    gateway: Gateway,
    caller: Caller,
    model: Model,
    choice: Choice,
    task: str | None,
    verifier: str | None,
    progress: str,
    record: bool | None,
    called: str,
) -> Chosen:
    """Everything decided: how many samples, and under which budget."""
    strategy = choice.strategy or known.strategy("single")
    if caller.strategies and strategy.name not in caller.strategies:
        raise Refusal(403, f"this key may not use {strategy.name}; it may use: {', '.join(sorted(caller.strategies))}")
    parameters = dict(choice.parameters)
    samples = choice.n
    if samples is not None and "n" in strategy.parameters:
        parameters["n"] = samples
    budget = choice.budget or Budget()
    if samples is None and "n" in strategy.parameters and parameters.get("n", strategy.parameters["n"]) is None:
        if not budget.limits():
            samples = parameters["n"] = DEFAULT_SAMPLES
    elif samples is not None and "n" not in strategy.parameters:
        if strategy.name == "single":
            if samples > 1:
                raise BadInput(f"single draws one sample, not {samples}; use for example majority:{samples}", where="strategy")
        else:
            budget = replace(budget, samples=samples)
    if isinstance(found := parameters.get("n"), int):
        samples = samples_of(found, f"{strategy.name}.n")
    strategy.bound(parameters)
    most = caller.budget if caller.budget is not None else model.budget
    return Chosen(
        model=model,
        choice=replace(choice, strategy=strategy),
        parameters=parameters,
        budget=least(budget, most),
        samples=samples,
        task=task if task is not None else model.task,
        verifier=verifier or choice.verifier or model.verifier,
        progress=progress,
        record=record,
        called=called,
    )


def least(one: Budget, other: Budget) -> Budget:
    """The budget that keeps within both."""
    mine, its = one.limits(), other.limits()
    names = mine.keys() | its.keys()
    return Budget(**{name: min(each[name] for each in (mine, its) if name in each) for name in names})  # type: ignore[arg-type]
