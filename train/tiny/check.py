"""What was exported equals what was trained, and how good it is: prints the figures of `docs/tiny.md`.

`python -m train.tiny.check --folder build/tiny`. Held-out problems only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from outthink.backends.llamacpp.engine import Engine
from outthink.tasks import calc, countdown, load
from train.tiny.export import export
from train.tiny.measure import SEED, graded, show_coverage
from train.tiny.measure import Model as Batched
from train.tiny.model import Model
from train.tiny.training import loaded
from train.tiny.vocabulary import BEGIN, encode

PROMPTS = ("make 59 from 5 6 13 25\n", "search 59 from 5 6 13 25\n", "calc 37*4-18+25\n")


class Served:
    """A GGUF file in llama.cpp."""

    def __init__(self, path: Path, *, precise: bool) -> None:
        self._engine = Engine(path, slots=1, context=512, threads=1, precise=precise)

    def tokens(self, text: str) -> list[int]:
        """Token ids with the begin token."""
        page = self._engine.page("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return [int(token) for token in page["tokens"]]

    def greedy(self, prompt: str, limit: int) -> tuple[list[int], list[float]]:
        """Ids and logprobs of a greedy continuation."""
        ids: list[int] = []
        logprobs: list[float] = []

        def take(chunk: bytes) -> bool:
            choice: dict[str, Any] = json.loads(chunk)["choices"][0]
            for token in (choice["logprobs"] or {}).get("content", []):
                ids.append(int(token["id"]))
                logprobs.append(float(token["logprob"]))
            return False

        body = {"prompt": prompt, "stream": True, "max_tokens": limit, "temperature": 0, "logprobs": 1, "cache_prompt": False}
        self._engine.generate(json.dumps(body).encode(), take)
        return ids, logprobs

    def close(self) -> None:
        """Free the model."""
        self._engine.close()


@dataclass
class Drift:
    """How far llama.cpp is from torch. cuts: prompts whose token ids differ; choices: tokens that torch would not have
    chosen; largest, mean: absolute difference of the chosen tokens' logprobs."""

    prompts: int = 0
    cuts: int = 0
    tokens: int = 0
    choices: int = 0
    largest: float = 0.0
    total: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.cuts} of {self.prompts} prompts cut differently, {self.choices} of {self.tokens} greedy tokens differ, "
            f"logprobs differ by {self.total / max(self.tokens, 1):.1e} on average and {self.largest:.1e} at most"
        )


@torch.inference_mode()
def difference(model: Model, served: Served, prompts: list[str], limit: int) -> Drift:
    """Compare greedy continuations of some prompts, each token after the same tokens."""
    drift = Drift(prompts=len(prompts))
    for prompt in prompts:
        head = [BEGIN, *encode(prompt)]
        drift.cuts += served.tokens(prompt) != head
        ids, logprobs = served.greedy(prompt, limit)
        expected = model(torch.tensor([[*head, *ids]]))[0, len(head) - 1 : -1].log_softmax(-1)
        gaps = (expected[range(len(ids)), ids] - torch.tensor(logprobs)).abs()
        drift.tokens += len(ids)
        drift.choices += int((expected.argmax(-1) != torch.tensor(ids)).sum())
        drift.largest, drift.total = max(drift.largest, float(gaps.max())), drift.total + float(gaps.sum())
    return drift


def same(weights: Path, limit: int = 120) -> None:
    """Print how far the float32 and q8_0 exports of some weights are from torch."""
    model = loaded(weights)
    prompts = [*PROMPTS, *(f"{problem.text}\n" for problem in (*countdown.problems(20), *calc.problems(5)))]
    with tempfile.TemporaryDirectory() as folder:
        for kind, precise in (("f32", True), ("f32", False), ("q8_0", False)):
            file = Path(folder) / f"model-{kind}.gguf"
            export(weights, file, "check", quantised=kind == "q8_0")
            served = Served(file, precise=precise)
            found = difference(model, served, prompts, limit)
            print(f"{weights.stem} {kind}{', precise' * precise}: {file.stat().st_size} bytes, {found}")
            served.close()


async def accuracies(weights: Path, count: int, samples: int) -> None:
    """Print pass@k of the float32 and the q8_0 export of the policy, on the same problems with the same seeds."""
    task, problems = load("countdown"), countdown.problems(count, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("f32", "q8_0"):
            file = Path(folder) / f"{kind}.gguf"
            export(weights, file, "check", quantised=kind == "q8_0")
            async with Batched(file) as model:
                show_coverage(
                    f"{weights.stem} {kind}", await graded(task, problems, await model.samples(task, problems, samples, 1.0))
                )


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny.check", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/tiny"))
    parser.add_argument("--weights", nargs="*", default=["policy", "search", "weak"])
    parser.add_argument("--problems", type=int, default=400)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.weights:
        same(given.folder / f"{name}.pt")
    asyncio.run(accuracies(given.folder / "policy.pt", given.problems, 16))


if __name__ == "__main__":
    main()
