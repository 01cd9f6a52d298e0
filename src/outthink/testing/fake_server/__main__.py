"""`python -m outthink.testing.fake_server`: serve until told to stop. The first line printed is the address."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from outthink.testing.fake_server.server import FakeServer
from outthink.testing.fake_server.settings import FAULTS, FakeSettings


def parse(arguments: Sequence[str] | None = None) -> tuple[int, FakeSettings]:
    """Port and settings from a command line; flags win over --settings."""
    parser = argparse.ArgumentParser(prog="python -m outthink.testing.fake_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="all settings at once")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=PROBABILITY", help=f"may be repeated; names: {', '.join(FAULTS)}"
    )
    for field in fields(FakeSettings):
        default: Any = field.default
        if field.name == "faults":
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None)
        else:
            parser.add_argument(flag, type=type(default), default=None, metavar=repr(default))
    given = vars(parser.parse_args(arguments))
    port, base, faults = given.pop("port"), json.loads(given.pop("settings")), given.pop("fault")
    changes = {name: value for name, value in given.items() if value is not None}
    if faults:
        changes["faults"] = {name: float(rate) for name, _, rate in (fault.partition("=") for fault in faults)}
    return port, replace(FakeSettings(**base), **changes)


async def serve(port: int, settings: FakeSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = FakeServer(settings)
    await server.open(port)
    print(server.url, flush=True)  # noqa: T201  # whoever started us waits for it
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(*parse()))
