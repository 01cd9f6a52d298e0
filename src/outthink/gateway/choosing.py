"""Which strategy a request gets: its sources in their order, joined field by field. Prompts are never looked at.

The most specific source wins: the body's `outthink`, then other systems' fields in the body, headers, the model's name, the
path, the key's default, the model's default. A source that names a strategy brings its own parameters and number of samples; one
that doesn't only changes what it says (a header may lower the budget of the path's strategy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outthink import tasks
from outthink.core.budget import Budget
from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.strategy import Strategy
from outthink.gateway import aliases, known
from outthink.gateway.body import Fields
from outthink.gateway.choice import Choice, read_choice, samples_of, useful
from outthink.gateway.gateway import Gateway
from outthink.gateway.model import Model
from outthink.gateway.refusal import Refusal, refusal_of, said_by
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
    said:     the client's own field that named each part ("strategy", "parameters", "n", "budget", "task"); one that it left to
              others is missing
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
    said: Mapping[str, str]


def choose(gateway: Gateway, caller: Caller, place: Place, fields: Fields) -> Chosen:
    """Take `model` and everything about strategies out of the fields. Raises Refusal, UsageError."""
    called = fields.text("model", 1000)
    if called is None:
        raise Refusal(400, "model is missing; GET /v1/models lists what there is", param="model", code="missing_model")
    model, from_name = model_of(gateway, caller, called)
    own = Fields(fields.table("outthink") or {}, "outthink")
    asked = [("path", _of_path(place)), ("model", from_name), *_of_headers(place.headers), aliases.of_body(fields)]
    if (budget := fields.take("budget")) is not None:
        named = own.left.get("strategy") is not None or any(each is not None and each.strategy is not None for _, each in asked)
        asked.append(("budget", _of_budget("budget", budget) if named else _of_its_hub("budget", budget)))
    parameters = own.left.get("parameters")
    choice, said = _of_operator(model, caller), dict[str, str]()
    for where, source in [*asked, *_of_own(own)]:
        if source is not None:
            choice = joined(choice, source)
            kept = {} if source.strategy is not None else said
            said = {**kept, **{part: where for part in _PARTS if getattr(source, part)}}
    strategy = choice.strategy or known.strategy("single")
    for name, value in (parameters or {}).items():
        _parameter(strategy, name, value)
    task, where = _known("task", tasks.names, own, place.headers)
    said |= {"task": where} if task else {}
    verifier, _ = _known("verifier", known.verifiers, own, {})
    progress = _progress(own, place.headers)
    record = own.truth("record") if "record" in own.left else _of_header("x-outthink-record", place.headers)
    for name in own.left:
        raise refusal_of(UnknownName("setting of outthink", name, _OWN), own.named(name[:100]))
    if caller.strategies and strategy.name not in caller.strategies:
        raise Refusal(403, f"this key may not use {strategy.name}; it may use: {', '.join(sorted(caller.strategies))}")
    settled, budget, samples = _settled(strategy, choice, said)
    return Chosen(
        model=model,
        choice=replace(choice, strategy=strategy),
        parameters=settled,
        budget=least(budget, caller.budget if caller.budget is not None else model.budget),
        samples=samples,
        task=task if task is not None else model.task,
        verifier=verifier or choice.verifier or (model.verifier if Needs.SCORES in strategy.needs else ""),
        progress=progress,
        record=record,
        called=called,
        said=said,
    )


_PARTS = ("strategy", "parameters", "n", "budget")
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


def model_of(gateway: Gateway, caller: Caller, named: str) -> tuple[Model, Choice | None]:
    """The model of a name, and what the name asks for: itself, NAME@STRATEGY, or with a prefix of optillm's. Raises Refusal."""
    choice: Choice | None = None
    name = named
    if name not in gateway.models:
        if "@" in named:
            name, _, spelt = named.rpartition("@")
            if name in gateway.models:
                with said_by("model"):
                    choice = read_choice(spelt, "model")
        else:
            with said_by("model"):
                choice, name = aliases.of_model_prefix(named, gateway.models) or (None, named)
    model = gateway.model(name)
    if caller.models and model.name not in caller.models:
        allowed = [each for each in gateway.models if gateway.models[each].name in caller.models]
        raise Refusal(404, str(UnknownName("model for this key", name, allowed)), code="model_not_found", param="model")
    return model, choice


def _of_operator(model: Model, caller: Caller) -> Choice:
    """What holds where the client says nothing: the key's default over the model's."""
    choice = Choice()
    if model.strategy:
        choice = replace(read_choice(model.strategy, f"model {model.name}"), parameters=dict(model.parameters))
    return joined(choice, read_choice(caller.strategy, f"key {caller.name}")) if caller.strategy else choice


def _of_path(place: Place) -> Choice | None:
    if not place.strategy:
        return None
    try:
        if place.scorer or place.strategy in ("offline_bon", "online_bon", "offline_best_of_n", "self_consistency", "baseline"):
            return aliases.of_thinkbooster(place.strategy, place.scorer)
        with said_by("path"):
            return read_choice(place.strategy, "path")
    except UnknownName as error:
        raise Refusal(404, str(error), code="unknown_strategy") from None


def _of_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, Choice | None]]:
    if text := headers.get("x-its-budget"):
        yield "X-ITS-Budget", _of_its_hub("X-ITS-Budget", text)
    if text := headers.get("x-outthink-strategy"):
        with said_by("X-Outthink-Strategy"):
            choice = read_choice(text, "X-Outthink-Strategy")
        yield "X-Outthink-Strategy", choice
    if text := headers.get("x-outthink-budget"):
        yield "X-Outthink-Budget", _of_budget("X-Outthink-Budget", int(text) if re.fullmatch("[0-9]{1,9}", text) else text)


def _of_header(name: str, headers: Mapping[str, str]) -> bool | None:
    """Yes or no, or None where the header isn't there. A word that is neither is refused: it may have meant no."""
    said = headers.get(name)
    if said is None:
        return None
    if said.strip().lower() not in _WORDS:
        raise Refusal(400, f"{name} is {said[:40]!r} and must be one of: {', '.join(_WORDS)}", code="invalid_value", param=name)
    return _WORDS[said.strip().lower()]


def _of_own(own: Fields) -> Iterator[tuple[str, Choice | None]]:
    """What the body's `outthink` says of strategy and budget, each field by itself."""
    choice = Choice()
    if (text := own.text("strategy", 500)) is not None:
        with said_by("outthink.strategy"):
            choice = read_choice(text, "outthink.strategy")
        yield "outthink.strategy", choice
    if (parameters := own.table("parameters")) is not None:
        yield "outthink.parameters", Choice(parameters=parameters)
    if (n := own.take("n")) is not None:
        with said_by("outthink.n"):
            choice = replace(choice, n=samples_of(n, "outthink.n"))
        yield "outthink.n", Choice(n=choice.n)
    if (budget := own.take("budget")) is not None:
        yield "outthink.budget", _of_budget("outthink.budget", budget, counted=choice.n is not None)


def _of_budget(field: str, budget: object, *, counted: bool = False) -> Choice:
    """A budget's text; a plain number, or samples, is the number of samples to draw, where the same source doesn't say that
    itself (`counted`): then it is a limit like others."""
    with said_by(field):
        limit = Budget.of(budget)  # type: ignore[arg-type]  # anything else is refused by it
        samples = samples_of(limit.samples, "budget") if limit.samples is not None else None
        useful(limit)
    if samples is None or counted:
        return Choice(budget=limit)
    return Choice(n=samples, budget=replace(limit, samples=None) if len(limit.limits()) > 1 else None)


def _of_its_hub(field: str, budget: object) -> Choice:
    with said_by(field):
        return aliases.with_n(Choice(), aliases.of_its_hub(budget, field))


def _parameter(strategy: Strategy, name: str, value: object) -> None:
    """Refuse a parameter that the strategy hasn't, or that can't have this value."""
    with said_by(f"outthink.parameters.{name[:100]}"):
        strategy.bound({name: value})
        if name == "n" and value is not None:
            samples_of(value, f"{strategy.name}.n")


def _known(kind: str, names: Callable[[], Collection[str]], own: Fields, headers: Mapping[str, str]) -> tuple[str | None, str]:
    """The name that the client gives, and the field that it stands in. Clients name built-in things only:
    `package.module:object` would import what they say."""
    field, name = own.named(kind), own.text(kind, 200)
    if name is None:
        field, name = f"X-Outthink-{kind.capitalize()}", headers.get(f"x-outthink-{kind}") or None
    plain = name.replace("-", "_") if name is not None else None
    if plain and plain not in names():
        raise refusal_of(UnknownName(kind, str(name), names()), field)
    return plain, field


def _progress(own: Fields, headers: Mapping[str, str]) -> str:
    field, said = own.named("progress"), own.text("progress", 20)
    if said is None:
        field, said = "X-Outthink-Progress", headers.get("x-outthink-progress", "comments")
    if said not in PROGRESS:
        raise Refusal(400, f"{field} must be one of: {', '.join(PROGRESS)}", code="invalid_value", param=field)
    return said


def _settled(strategy: Strategy, choice: Choice, said: Mapping[str, str]) -> tuple[dict[str, Any], Budget, int | None]:
    """Parameters, the client's budget, and how many samples."""
    parameters = dict(choice.parameters)
    samples = choice.n
    if samples is not None and "n" in strategy.parameters:
        parameters["n"] = samples
    budget = choice.budget or Budget()
    if samples is None and "n" in strategy.parameters and parameters.get("n", strategy.parameters["n"]) is None:
        if not budget.limits():
            samples = parameters["n"] = DEFAULT_SAMPLES
    elif samples is not None and "n" not in strategy.parameters:
        if strategy.name != "single":
            budget = replace(budget, samples=samples)
        elif samples > 1:
            error = BadInput(f"single draws one sample, not {samples}; use for example majority:{samples}", where="strategy")
            raise refusal_of(error, said.get("n"))
    with said_by(said.get("parameters")):
        if isinstance(found := parameters.get("n"), int):
            samples = samples_of(found, f"{strategy.name}.n")
        strategy.bound(parameters)
    return parameters, budget, samples


def least(one: Budget, other: Budget) -> Budget:
    """The budget that keeps within both."""
    mine, its = one.limits(), other.limits()
    names = mine.keys() | its.keys()
    return Budget(**{name: min(each[name] for each in (mine, its) if name in each) for name in names})  # type: ignore[arg-type]
