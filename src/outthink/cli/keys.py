"""`outthink keys`: make and hash the API keys of the gateway, and see what they spent."""

from __future__ import annotations

import sys

import click

from outthink.cli.options import as_json
from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput


@click.group()
def keys() -> None:
    """API keys of the gateway: make one, hash one, see what they spent."""


@keys.command()
@click.argument("name")
@as_json
@click.pass_obj
def new(output: Output, name: str) -> None:
    """Make a key for NAME.

    The key is shown once and written nowhere; the lines for the configuration hold only its hash.
    """
    from outthink.gateway.keys import hash_of, new_key

    _check_name(name)
    key = new_key()
    output.show({"name": name, "key": key, "hash": hash_of(key)}, f"{key}\n\n{_table(name, hash_of(key))}")
    if not output.as_json:
        note("the first line is the key, for its user; the others are for the gateway's configuration")


@keys.command("hash")
@click.argument("name")
@as_json
@click.pass_obj
def hash_(output: Output, name: str) -> None:
    """Hash the key that stands on standard input, for NAME.

    It is not an argument, which other users of the machine and the shell's history would see.
    """
    from outthink.gateway.keys import hash_of

    _check_name(name)
    if sys.stdin.isatty():
        key: str = click.prompt("key", hide_input=True, err=True)
    else:
        key = sys.stdin.readline()
    hashed = hash_of(key.strip())
    output.show({"name": name, "hash": hashed}, _table(name, hashed))


@keys.command()
@click.option(
    "--config", "file", required=True, type=click.Path(exists=True, dir_okay=False), help="The gateway's configuration."
)
@click.option("--days", type=click.IntRange(1), default=7, show_default=True)
@as_json
@click.pass_obj
def spent(output: Output, file: str, days: int) -> None:
    """Say what each key spent on the last days, also while the gateway runs."""
    from outthink.gateway import config
    from outthink.gateway.spending import history

    found = config.read(file)
    rows = {name: history(found.server.state, name, days) for name in (*found.keys, *(["anyone"] if found.keyless else []))}
    lines = [
        f"{name}  {row['day']}  {row['tokens']:.0f} tokens  ${row['usd']:.4f}" for name, each in rows.items() for row in each
    ]
    output.show({"keys": rows}, "\n".join(lines) or "nothing was spent")


def _check_name(name: str) -> None:
    from outthink.gateway.config.load import KEY_NAME

    if not KEY_NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name for a key: up to 64 letters, digits and . _ - are", where="keys")


def _table(name: str, hashed: str) -> str:
    quoted = f'"{name}"' if "." in name else name
    return f'[keys.{quoted}]\nhash = "{hashed}"'
