"""What every test shares: a clean environment, no network beyond this machine, and repeatable property tests."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("outthink.testing.contract")

settings.register_profile("outthink", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("outthink")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or setting of the developer's own reaches a test."""
    for name in os.environ:
        if name.startswith("OUTTHINK_") or name.endswith("_API_KEY"):
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
