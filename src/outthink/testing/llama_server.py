"""llama.cpp's own HTTP server as a second process, from the same wheel as the embedded model.

For end-to-end tests of anything that speaks HTTP to a real engine. The embedded backend doesn't use it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from outthink.backends.llamacpp.engine import load_library
from outthink.backends.weights import check_gguf
from outthink.core.errors import BadInput

__all__ = ["llama_server"]


@contextmanager
def llama_server(
    model: str | Path, *, slots: int = 2, context: int = 2048, threads: int = 2, api_key: str = "", seconds: float = 300.0
) -> Iterator[str]:
    """Serve a GGUF file on a free port of this machine; yields the address, which ends in /v1, once the model is loaded.

    slots:   requests worked on at once; context: most tokens of each; api_key: "" asks for none
    seconds: how long loading may take

    Raises BadInput where the server doesn't come up. The server ends with the block, and also when this process dies.
    """
    check_gguf(Path(model))
    command = [sys.executable, "-m", "outthink.testing.llama_server", str(model)]
    command += ["--slots", str(slots), "--context", str(context), "--threads", str(threads)]
    with tempfile.TemporaryFile("w+", errors="replace") as noise:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        overdue = threading.Timer(seconds, process.kill)
        overdue.start()
        try:
            process.stdin.write(api_key + "\n")  # not an argument: those are for everyone to see
            process.stdin.flush()
            address = process.stdout.readline().strip()
            overdue.cancel()
            if not address:
                code = process.wait()
                noise.seek(0)
                last = (noise.read().strip().splitlines() or ["it said nothing"])[-1]
                raise BadInput(f"llama.cpp's server ended with code {code} before it listened: {last[:500]}", where=str(model))
            yield address + "/v1"
        finally:
            overdue.cancel()
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def serve(arguments: Sequence[str] | None = None) -> None:
    """The second process: print the address once ready, then serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m outthink.testing.llama_server", description=__doc__)
    parser.add_argument("model")
    for flag in ("--slots", "--context", "--threads"):
        parser.add_argument(flag, type=int, required=True)
    given = parser.parse_args(arguments)
    library = load_library()
    params = library.CommonParams()
    params.model.path = given.model
    params.model_alias = [Path(given.model).stem]
    params.n_parallel, params.n_ctx, params.kv_unified = given.slots, given.slots * given.context, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    params.endpoint_slots = params.endpoint_metrics = True
    params.verbosity = -1
    if key := sys.stdin.readline().strip():
        params.api_keys = [key]
    server = library.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201  # whoever started us waits for it
    sys.stdin.read()


if __name__ == "__main__":
    serve()
