"""Requests for the gateway's operation, made by hand: callers with settings, and a clock that the test moves."""

from __future__ import annotations

from typing import Any

from outthink import catalogue
from outthink.core.budget import Budget
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.gateway.config import KeySettings
from outthink.gateway.keys import Client
from outthink.gateway.model import Model
from outthink.gateway.seams import Asked
from outthink.gateway.spending import Spending
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({"p0": Odds("4", {"4": 0.6, "5": 0.4})})
MODEL = Model("toy", {"generator": Endpoint(SimulatedBackend(WORLD), Ledger())})
MAJORITY = catalogue.strategy("majority")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def client(spending: Spending, name: str = "alice", **settings: Any) -> Client:
    """A caller as the key ring makes one."""
    given = KeySettings(hash="", **settings)
    day = spending.day(name, given.daily_budget)
    return Client(name=name, scope=day.scope, settings=given, day=day, record=given.record)


def asked(caller: Client | None = None, **more: Any) -> Asked:
    """A request of this caller."""
    caller = caller or client(Spending(None))
    given: dict[str, Any] = {
        "id": "req-1", "protocol": "chat", "caller": caller, "model": MODEL, "strategy": MAJORITY,
        "parameters": {"n": 3}, "budget": Budget(tokens=1000), "prompt": Prompt.chat("What is 2+2?"), "sampling": Sampling(),
        "task": "exact", "verifier": "", "seed": 0, "name": "req-1",
    }  # fmt: skip
    return Asked(**{**given, **more})
