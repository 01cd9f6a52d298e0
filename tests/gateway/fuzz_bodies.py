"""A coverage-guided fuzzer of request bodies, by hand: needs atheris beside the project's own packages.

python tests/gateway/fuzz_bodies.py CORPUS -max_total_time=600

The first byte of an input chooses the path, the rest is the body; CORPUS is a folder. It ends at the first answer that is no
answer (see `check` in `test_fuzz`), and leaves the input beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["outthink.gateway", "outthink.core"]):
    from tests.gateway.test_fuzz import PATHS, asking, check

CHAT = {"role": "user", "content": "p0 what?"}
SEEDS = [
    {
        "model": "toy@majority:2",
        "messages": [CHAT],
        "n": 2,
        "stream": True,
        "outthink": {"budget": "9 tokens", "parameters": {"n": 2}},
    },
    {"model": "toy", "prompt": "p0", "best_of": 2, "echo": True, "logprobs": 2, "stop": ["x"], "tts_strategy": "offline_bon"},
    {
        "model": "toy",
        "input": [{"type": "function_call_output", "call_id": "a", "output": "x"}],
        "text": {"format": {"type": "text"}},
    },
]


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(SEEDS):
        (corpus / f"seed{at}").write_bytes(bytes([at]) + json.dumps(seed).encode())
    with asking() as ask:
        atheris.Setup(sys.argv, lambda data: check(ask(PATHS[data[0] % len(PATHS)], data[1:], {})) if data else None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
