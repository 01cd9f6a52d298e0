"""`outthink serve`: the gateway. Thin: settings in, a running server out."""

from __future__ import annotations

import gc
from typing import Any

import click

from outthink.cli.terminal import Output, note


@click.command()
@click.option("--model", multiple=True, help="'embedded', a .gguf file, or URL#name; several times for several models.")
@click.option("--config", "file", type=click.Path(exists=True, dir_okay=False), help="Settings in TOML instead of --model.")
@click.option("--host", help="The address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on; 0 takes a free one. [default: 8000]")
@click.option("--strategy", help="The default strategy, such as majority:16; with --model. [default: single]")
@click.option("--task", help="The task that extracts and compares answers where a request names none; with --model.")
@click.option("--verifier", help="What scores samples where a request names nothing; with --model.")
@click.option("--verifier-setting", multiple=True, metavar="KEY=VALUE", help="Of the verifier, such as aggregate=min.")
@click.option("--role", multiple=True, metavar="ROLE=MODEL", help="Who plays a further role, such as prm=URL#name; with --model.")
@click.pass_obj
def serve(output: Output, /, **given: Any) -> int:
    """Serve an OpenAI-compatible API whose answers are better: change the base URL of any client to this one.

    A client chooses a strategy by the model's name (NAME@majority:16) or as docs/gateway.md says.
    """
    from outthink import api
    from outthink.core.errors import BadInput

    if bool(given["model"]) == bool(given["file"]):
        raise BadInput("give either --model (once or more) or --config", where="serve")
    if given["file"] and (said := [name for name in ("strategy", "task", "verifier", "verifier_setting", "role") if given[name]]):
        raise BadInput("is for --model; the configuration has settings for it", where="--" + said[0].replace("_", "-"))
    api.run_anywhere(_configured(given) if given["file"] else _served(given))
    return 0


async def _served(given: dict[str, Any]) -> None:
    from outthink import tasks
    from outthink.cli.options import pairs
    from outthink.core.errors import BadInput
    from outthink.gateway import known
    from outthink.gateway.choice import read_choice
    from outthink.gateway.gateway import Gateway, opened
    from outthink.gateway.page import add_page
    from outthink.gateway.server import serve
    from outthink.runtime.ledger import Ledger

    if given["strategy"]:
        read_choice(given["strategy"], "--strategy")
    if given["task"]:
        tasks.load(given["task"])
    verifier, settings = given["verifier"] or "", pairs(given["verifier_setting"], "--verifier-setting")
    if settings and not verifier:
        raise BadInput("there is no verifier to set; give --verifier", where="--verifier-setting")
    verifiers = {verifier: settings} if settings else {}
    if verifier:
        known.verifier(verifier, verifiers)
    roles = {role: str(player) for role, player in pairs(given["role"], "--role").items()}
    ledger, strategy, task = Ledger(), given["strategy"] or "single", given["task"] or ""
    async with opened(
        given["model"], ledger=ledger, roles=roles, strategy=strategy, task=task, verifier=verifier, verifiers=verifiers
    ) as models:
        gateway = Gateway(models, ledger=ledger)
        add_page(gateway)
        await serve(
            gateway, host=given["host"] or "127.0.0.1", port=given["port"] if given["port"] is not None else 8000, told=_tell
        )


async def _configured(given: dict[str, Any]) -> None:
    """With a configuration file."""
    from outthink.gateway.operation import serve_configured

    await serve_configured(given["file"], host=given["host"], port=given["port"], told=_tell)


def _tell(url: str) -> None:
    # What is loaded stays: no search for cycles looks at it again. Requests leave none (tests/runtime/test_garbage.py), but for
    # what broken connections leave: rare searches through little will do, since every request under way waits for them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50, 10)
    note(f"listening on {url}/v1")
