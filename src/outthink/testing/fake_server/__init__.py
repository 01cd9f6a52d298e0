"""A fake OpenAI-compatible server whose accuracy is known exactly and whose misbehaviour can be switched on.

    async with FakeServer(FakeSettings(latency=0.005, faults={"hang": 0.1})) as server: ...   # in this process
    with FakeServerProcess(FakeSettings()) as server: ...                                     # in its own
    python -m outthink.testing.fake_server --latency 0.005 --fault hang=0.1                   # from a shell

It is a test tool: nothing of Outthink itself may depend on it.
"""

from outthink.testing.fake_server.accounts import Accounts, Entry
from outthink.testing.fake_server.process import FakeServerProcess
from outthink.testing.fake_server.server import FakeServer
from outthink.testing.fake_server.settings import CONTENT_FAULTS, FAULTS, WIRE_FAULTS, FakeSettings
from outthink.testing.fake_server.world import Drawn, HashWorld, World

__all__ = [
    "CONTENT_FAULTS",
    "FAULTS",
    "WIRE_FAULTS",
    "Accounts",
    "Drawn",
    "Entry",
    "FakeServer",
    "FakeServerProcess",
    "FakeSettings",
    "HashWorld",
    "World",
]
