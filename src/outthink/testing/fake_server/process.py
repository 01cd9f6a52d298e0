"""The fake server as a process of its own, so that its work does not disturb the one being measured."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from dataclasses import asdict
from typing import Any, Self

from outthink.core.errors import BadInput
from outthink.testing.fake_server.settings import FakeSettings


class FakeServerProcess:
    """A context manager that runs `python -m outthink.testing.fake_server`. `url` and `url_by_name` end in /v1."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.settings = settings or FakeSettings()
        self.url = self.url_by_name = ""
        self.pid = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "outthink.testing.fake_server", "--settings", json.dumps(asdict(self.settings))]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BadInput(f"the fake server ended with code {self._process.wait()} before it listened")
        self.url, self.pid = line.strip(), self._process.pid
        self.url_by_name = self.url.replace("127.0.0.1", "localhost")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def metrics(self) -> dict[str, Any]:
        """The server's own sums (`Accounts.metrics`)."""
        sums: dict[str, Any] = self._get("metrics")
        return sums

    def entries(self) -> list[dict[str, Any]]:
        """The server's ledger (`Accounts.entries`)."""
        rows: list[dict[str, Any]] = self._get("accounts")
        return rows

    def _get(self, page: str) -> Any:
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/{page}") as reply:  # noqa: S310  # our own address
            return json.load(reply)
