"""Settings from a TOML file, under the same names as the flags. A flag wins over the file, the file over the default.

Top-level settings serve every command that has the flag; a table named as a command serves that command only:

    model = "http://localhost:8000/v1#qwen"
    [eval]
    budgets = ["1 sample", "8 samples"]
    [eval.param]
    n = 8
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from outthink.core.errors import BadInput, UnknownName

DEFAULT_FILE = Path("outthink.toml")
_BETWEEN = {"budgets": ";"}
"""What stands between the items of a flag whose items may hold commas."""


def read(path: Path) -> dict[str, Any]:
    """The file's settings. Raises BadInput naming the file, and the line where TOML is broken."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror or error}", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"is not valid TOML: {error}", where=str(path)) from error


def default_map(group: click.Group, settings: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Click's defaults by command. Raises UnknownName for a setting that is no flag, BadInput for a value of a wrong shape."""
    flags = {name: _flags(command) for name, command in group.commands.items()}
    everywhere = {flag for known in flags.values() for flag in known}
    shared = {name: value for name, value in settings.items() if name not in flags}
    for name in shared:
        if name not in everywhere:
            raise UnknownName(f"setting in {where}", name, everywhere | set(flags))
    found: dict[str, dict[str, Any]] = {}
    for command, known in flags.items():
        own = settings.get(command, {})
        if not isinstance(own, Mapping):
            raise BadInput(f"[{command}] must be a table of settings", where=where)
        for name in own:
            if name not in known:
                raise UnknownName(f"setting of [{command}] in {where}", name, known)
        chosen = {name: value for name, value in shared.items() if name in known} | dict(own)
        found[command] = {
            known[name].name or "": _value(value, known[name], f"{where}: {name}") for name, value in chosen.items()
        }
    return found


def _flags(command: click.Command) -> dict[str, click.Option]:
    """A command's options by flag name, without the dashes."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {max(option.opts, key=len).lstrip("-"): option for option in options if option.name != "help"}


def _value(value: Any, option: click.Option, where: str) -> Any:
    """A TOML value as the option takes it: a table as `key=value` texts, a list as texts or joined as the flag takes them."""
    match value:
        case bool() | int() | float() | str():
            return (value,) if option.multiple else value
        case Mapping() if option.multiple:
            return tuple(f"{key}={_text(item)}" for key, item in value.items())
        case list() if all(isinstance(item, (str, int, float)) for item in value):
            return tuple(map(str, value)) if option.multiple else _BETWEEN.get(option.name or "", ",").join(map(str, value))
        case _:
            raise BadInput("must be a text, a number, true or false, a list of these, or (param) a table", where=where)


def _text(value: Any) -> str:
    """A value as `key=value` holds it: what would be read as a number or another value than the text that it is, is quoted."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, default=str)  # TOML has dates
