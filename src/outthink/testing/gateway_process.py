"""`outthink serve` as a process of its own, for tests, benchmarks and documents.

with GatewayProcess(f"{server.url}#fake") as gateway:
    OpenAI(base_url=gateway.url, api_key="none")
with GatewayProcess(None, "--config", "gateway.toml") as gateway: ...
"""

from __future__ import annotations

import re
import subprocess
import sys
from types import TracebackType
from typing import Self

STOP_SECONDS = 60.0


class GatewayProcess:
    """A gateway on a free port.

    model:   as `--model` takes it; None where the options name a configuration
    options: further words of the command line

    `url` ends in /v1. Leaving sends SIGTERM and waits; `returncode` is then its exit code. Raises RuntimeError where it
    doesn't start, with what it said.
    """

    def __init__(self, model: str | None, *options: str) -> None:
        models = [] if model is None else ["--model", model]
        self._command = [sys.executable, "-m", "outthink", "serve", *models, "--port", "0", *options]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Of the process while it runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self._process = process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if (found := re.search(r"http://\S+/v1", line)) is not None:
                self.url = found[0]
                return self
        process.wait(STOP_SECONDS)
        process.stderr.close()
        raise RuntimeError(f"the gateway did not start: {''.join(said).strip()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process = self._process
        assert process is not None
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self.returncode = process.returncode
