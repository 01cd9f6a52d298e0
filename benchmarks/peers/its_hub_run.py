"""its_hub's self-consistency on the problems of the overhead benchmark, all gathered at once, which is its fastest use.
Runs in an environment of its own (see `../overhead.py`) and imports nothing of Outthink.

    python its_hub_run.py URL SAMPLES CONCURRENCY < problems.json
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time

from its_hub import LMOrchestrator, OpenAICompatibleLanguageModel, SelfConsistency

BOXED = re.compile(r"\\boxed\{(.+?)\}")


def projected(text: str) -> str:
    found = BOXED.search(text)
    return found[1] if found else ""


async def main(url: str, samples: int, concurrency: int, problems: list[tuple[str, str]]) -> dict[str, float]:
    model = OpenAICompatibleLanguageModel(url, "none", "fake", temperature=0.7, max_completion_tokens=256)
    algorithm = SelfConsistency(projected, orchestrator=LMOrchestrator(max_concurrency=concurrency))
    wall, cpu = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(algorithm.ainfer(model, text, samples) for text, _ in problems))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await model.close()
    right = sum(projected(answer["content"]) == gold for answer, (_, gold) in zip(answers, problems, strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "accuracy": right / len(problems), "memory": memory}


if __name__ == "__main__":
    given = asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.load(sys.stdin)))
    print(json.dumps(given))
