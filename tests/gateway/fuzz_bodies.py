"""A coverage-guided fuzzer of request bodies, by hand (`make fuzz`): needs atheris beside the project's own packages.

python tests/gateway/fuzz_bodies.py CORPUS -max_total_time=600

The first byte of an input chooses the path, the rest is the body; CORPUS is a folder. Bodies that are JSON are changed as trees,
with the words that the gateway knows; now and then, and where they are none, as bytes. It ends at the first answer that is no
answer (see `check` in `test_fuzz`), and leaves the input beside it; what it found so far is in `test_findings`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["outthink.gateway", "outthink.core", "outthink.parts", "outthink.strategies"]):
    from outthink.gateway import aliases, known
    from outthink.tasks import names
    from tests.gateway.test_fuzz import FIELDS, PATHS, STRANGE, asking, check

CHAT = {"role": "user", "content": "p0 what?"}
SEEDS: list[dict[str, Any]] = [
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
    {
        "model": "bon-toy",
        "messages": [CHAT],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "required",
    },
    {"model": "toy", "prompt": "p0 what?", "stream": True, "outthink": {"strategy": "adaptive_consistency", "task": "math"}},
    {"model": "toy", "input": "p0 what?", "stream": True, "instructions": "x", "outthink": {"strategy": "self_refine", "n": 2}},
]
PLACES = [*PATHS, "/v1/majority:2/chat/completions", "/v1/offline_bon/perplexity/chat/completions"]
ROLES = ["system", "developer", "user", "assistant", "tool", "function"]
PARTS = ["text", "image_url", "input_text", "input_image", "input_file", "output_text", "refusal", "message", "function_call"]
NAMES = [
    *FIELDS, "model", "messages", "prompt", "input", "outthink", "strategy", "parameters", "verifier", "task", "progress",
    "record", "role", "content", "type", "name", "arguments", "call_id", "tool_calls", "function", "image_url", "output",
    "format", "schema", "json_schema", "effort", "include_usage", "id", "index", "quorum", "temperature",
]  # fmt: skip
WORDS = [
    *known.strategies(), *known.verifiers(), *names(), *aliases._OPTILLM, *aliases._THINKBOOSTER, *ROLES, *PARTS, "json_object",
    "json_schema", "reasoning", "comments", "toy", "p0 what?", "9 tokens", "1s", "2 calls, 5 samples", "$0.1", "1e3 tokens",
    "majority:n=2", "best_of_n:2,quorum=1", "toy@single", "bon-toy", "none-bon-toy", "\\boxed{4}", "#### 4", "{}", '{"a": 1}',
]  # fmt: skip


def leaf(random: Random) -> Any:
    """A value that the gateway may take for something."""
    kind = random.randrange(4)
    if kind == 0:
        return random.choice(STRANGE)
    if kind == 1:
        return random.choice([random.randint(-2, 20), random.random(), True, False, 1 << random.randrange(64)])
    return random.choice(WORDS) if kind == 2 else random.choice([[CHAT], {"type": random.choice(PARTS)}, [random.choice(WORDS)]])


def changed(found: Any, random: Random) -> Any:
    """A tree with one thing changed: a value, a field more or less, a member more or less."""
    if isinstance(found, dict) and found and random.random() < 0.9:
        name, act = random.choice(list(found)), random.randrange(6)
        if act == 0:
            return found | {random.choice(NAMES): leaf(random)}
        if act == 1:
            return {each: value for each, value in found.items() if each != name}
        return found | {name: changed(found[name], random)}
    if isinstance(found, list) and found and random.random() < 0.9:
        at, act = random.randrange(len(found)), random.randrange(5)
        if act == 0:
            return [*found, leaf(random)]
        return [*found[:at], *([changed(found[at], random)] if act > 1 else []), *found[at + 1 :]]
    if isinstance(found, dict):
        return {random.choice(NAMES): leaf(random)}
    return leaf(random)


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """What libFuzzer calls for the next input."""
    random = Random(seed)
    try:
        body = json.loads(data[1:])
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or random.random() < 0.1:
        return bytes(atheris.Mutate(data, most))
    for _ in range(random.randint(1, 4)):
        body = changed(body, random)
    place = bytes([random.randrange(256)]) if random.random() < 0.1 else data[:1]
    made = place + json.dumps(body).replace("Infinity", "1e999").encode()
    return made if len(made) <= most else data


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(SEEDS):
        (corpus / f"seed{at}").write_bytes(bytes([at % 3]) + json.dumps(seed).encode())
    with asking() as ask:

        def one(data: bytes) -> None:
            if data:
                check(ask(PLACES[data[0] % len(PLACES)], data[1:], {}))

        atheris.Setup([*sys.argv, "-max_len=4096", "-len_control=0"], one, custom_mutator=mutated)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
