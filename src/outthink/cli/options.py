"""Options that several commands share, and how their texts become values. No command's logic lives here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from outthink.core.verifier import Verifier
    from outthink.runtime.used import Asked

Command = TypeVar("Command", bound=Callable[..., Any])

_LADDER = re.compile(r"^\s*([0-9_.kM]+(?:\s*,\s*[0-9_.kM]+)*)(\s*[a-zA-Z][a-zA-Z ]*)?$")


def as_json(command: Command) -> Command:
    """`--json`: it takes effect before anything else, so that failures are JSON too."""

    def noted(context: click.Context, _: click.Parameter, value: bool) -> None:
        output = context.find_object(Output)
        if output is not None:
            output.as_json = value

    return click.option(
        "--json", "json", is_flag=True, is_eager=True, expose_value=False, callback=noted,
        help="Print exactly one JSON document.",
    )(command)  # fmt: skip


def model_options(command: Command) -> Command:
    """What says which model answers, and how: the settings of a session."""
    options = [
        click.option("--task", help="A task's name, or package.module:object; default: math, of a pool the recorded one."),
        click.option("--verifier", help="What scores samples: a verifier's name, or package.module:object."),
        click.option(
            "--verifier-setting", multiple=True, metavar="KEY=VALUE", help="Of the verifier, such as aggregate=min or top=10."
        ),
        click.option(
            "--role",
            multiple=True,
            metavar="ROLE=MODEL",
            help="Who plays a further role, such as judge=URL#name, prm=tiny-verifier or retriever=package.module:object.",
        ),
        click.option("--sampling", multiple=True, metavar="KEY=VALUE", help="How the model is sampled, such as temperature=1."),
        click.option("--concurrency", type=int, help="Requests at once; default: what the server is found to take."),
        click.option("--timeout", type=float, help="Seconds after which one attempt counts as lost."),
        click.option("--price", multiple=True, metavar="KEY=USD", help="USD per million tokens: prompt=, completion=, cached=."),
        click.option(
            "--engine", default="", help="What the server runs (vllm, sglang, llamacpp, ollama, openai), if it won't tell."
        ),
        click.option("--probed", type=click.Path(dir_okay=False), help="What `outthink probe URL --json` found, to rely on."),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--journal", type=click.Path(dir_okay=False), help="Record here, so that the run can be resumed."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def fitting(given: Mapping[str, Any], runs: Asked) -> dict[str, Any]:
    """The options without what the settings file says and these strategies don't use: one file serves many commands.

    What is typed beside them and isn't used is refused, later.
    """
    from outthink.runtime.used import roles_of, scored

    source, kept = click.get_current_context().get_parameter_source, dict(given)
    if given["verifier"] and source("verifier") is ParameterSource.DEFAULT_MAP and not scored(runs):
        note(f"verifier {given['verifier']} of the settings file is left out: nothing here has samples scored")
        kept["verifier"] = None
        if source("verifier_setting") is ParameterSource.DEFAULT_MAP:
            kept["verifier_setting"] = ()
    if given["role"] and source("role") is ParameterSource.DEFAULT_MAP:
        used = roles_of(runs, _verifier(kept))
        roles = {text.partition("=")[0].strip(): text for text in given["role"]}
        if unused := [role for role in roles if role not in used]:
            note(f"role {' and '.join(unused)} of the settings file is left out: nothing here uses it")
        kept["role"] = tuple(text for role, text in roles.items() if role in used)
    return kept


def refuse_typed(names: Sequence[str], why: str) -> None:
    """Raise BadInput for the first of these options that the user typed, and that would have no effect."""
    source = click.get_current_context().get_parameter_source
    for name in names:
        if source(name) is ParameterSource.COMMANDLINE:
            raise BadInput(f"has no effect: {why}", where=f"--{name.replace('_', '-')}")


def session_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `outthink.session.Session` that `model_options` gathered. Raises BadInput, UnknownName."""
    from outthink.models import prices_of
    from outthink.runtime.batch import Retry
    from outthink.session import DEFAULT_TASK

    made: dict[str, Any] = {name: given[name] for name in ("concurrency", "engine", "probed", "seed")}
    made["task"], made["verifier"] = given["task"] or DEFAULT_TASK, _verifier(given)
    made["sampling"] = sampling(given["sampling"])
    if given["role"]:
        made["roles"] = {role: str(model) for role, model in pairs(given["role"], "--role").items()}
    if given["timeout"] is not None:
        if not given["timeout"] > 0:
            raise BadInput(f"is {given['timeout']:g} and must be above 0", where="--timeout")
        made["retry"] = Retry(timeout=given["timeout"])
    if given["price"]:
        made["prices"] = prices_of(pairs(given["price"], "--price"))
    return made


def _verifier(given: Mapping[str, Any]) -> Verifier | None:
    """The verifier with its settings. Raises BadInput, UnknownName."""
    from outthink import catalogue

    settings = pairs(given["verifier_setting"], "--verifier-setting")
    if given["verifier"] is None:
        if settings:
            raise BadInput("there is no verifier to set; give --verifier", where="--verifier-setting")
        return None
    return catalogue.verifier(given["verifier"], **settings)


def pairs(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """`key=value` texts as a mapping; a value that is JSON is what it says, anything else a text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"{text!r} is not KEY=VALUE", where=flag)
        if key.strip() in found:
            raise BadInput(f"{key.strip()} is given twice", where=flag)
        try:
            found[key.strip()] = json.loads(value)
        except ValueError:
            found[key.strip()] = value
    return found


def sampling(texts: Sequence[str]) -> dict[str, Any]:
    """Sampling settings. Raises UnknownName, BadInput."""
    from outthink.core.sampling import Sampling

    found = pairs(texts, "--sampling")
    Sampling().but(**found)
    return found


def budgets(text: str) -> list[str]:
    """Several budgets: numbers that share their unit ("1,2,4 samples"), or whole budgets with semicolons between them."""
    made: list[str] = []
    for part in text.split(";"):
        if found := _LADDER.match(part):
            unit = (found[2] or " samples").strip()
            made += [f"{number.strip()} {unit}" for number in found[1].split(",")]
        else:
            made.append(part.strip())
    return made


def asked(texts: Sequence[str], strategies: Sequence[str]) -> Asked:
    """Strategies with their parameters; see `parameters`."""
    from outthink import catalogue

    chosen = parameters(texts, strategies)
    return [(strategy, chosen[strategy.name]) for strategy in map(catalogue.strategy, strategies)]


def parameters(texts: Sequence[str], strategies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parameters by strategy: `strategy.key=value` for one, `key=value` for each that has it. Raises UnknownName, BadInput."""
    from outthink import catalogue

    found = [catalogue.strategy(name) for name in strategies]
    made: dict[str, dict[str, Any]] = {strategy.name: {} for strategy in found}
    for key, value in pairs(texts, "--param").items():
        owner, dot, name = key.rpartition(".")
        owner = owner.replace("-", "_")
        if dot and owner not in made:
            raise UnknownName("strategy in --strategies", owner, made)
        takers = [s for s in found if (s.name == owner if dot else name in s.parameters)]
        if not takers:
            raise UnknownName("parameter of these strategies", name, {key for s in found for key in s.parameters})
        for taker in takers:
            made[taker.name][name] = value
    return made
