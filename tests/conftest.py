"""What every test shares: a clean environment, no network beyond this machine, and repeatable property tests."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

pytest.register_assert_rewrite("outthink.testing.contract")

# Hypothesis also tries the constants of whatever modules of ours are loaded: of the tests that ran before. With them no
# example would be drawn twice alike.
if hasattr(providers, "_get_local_constants"):
    providers._get_local_constants = lambda: providers._local_constants
settings.register_profile("outthink", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("outthink")

TERMINAL = {"COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"  # a proxy doesn't lead to this machine


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or setting of the developer's own reaches a test, nor of the terminal it is run in."""
    for name in os.environ:
        if name.startswith("OUTTHINK_") or name.endswith("_API_KEY") or name in TERMINAL:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches beyond this machine fails; only those marked `model` may fetch the model file."""
    if request.node.get_closest_marker("model"):
        return
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            pytest.fail(f"this test tried to connect to {address[0]}: tests may reach this machine only")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
