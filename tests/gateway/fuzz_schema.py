"""schemathesis over the gateway's OpenAPI description: `make fuzz` for long, `test_schema` for a moment.

python -m tests.gateway.fuzz_schema SECONDS

It runs from an environment of its own (`make fuzz` makes it) against a gateway process over a fake server. Which words mean
something here says schemathesis.toml. A request that the description allows may be refused all the same (a strategy that doesn't
exist), so that is the one check that is left out; every refusal must still be described, and none may be a 5xx.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from outthink.testing.fake_server import FakeServerProcess, FakeSettings
from outthink.testing.gateway_process import GatewayProcess

PROGRAM = Path(__file__).parents[2] / ".peers" / "fuzz" / "bin" / "schemathesis"
SETTINGS = Path(__file__).with_name("schemathesis.toml")


def fuzzed(*options: str) -> tuple[int, str]:
    """Exit code and report of one hunt; `options` are schemathesis's own."""
    with (
        tempfile.TemporaryDirectory() as folder,  # it leaves notes where it runs
        FakeServerProcess(FakeSettings()) as server,
        GatewayProcess(f"{server.url}#fake") as gateway,
    ):
        base = gateway.url.removesuffix("/v1")
        command = [str(PROGRAM), "--config-file", str(SETTINGS), "run", f"{base}/openapi.json", "--url", base, "--no-color"]
        command += ["--exclude-checks", "positive_data_acceptance", "--phases", "examples,coverage,fuzzing"]
        found = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    return found.returncode, found.stdout + found.stderr


def main() -> None:
    code, report = fuzzed("--max-time", sys.argv[1])
    print(report)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
