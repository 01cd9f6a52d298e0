"""How good the exported models are on held-out problems, through Outthink's embedded backend: prints the figures of
`docs/tiny.md`.

`python -m train.tiny.measure` measures what ships; `--folder build/tiny` what was just trained.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.weights import SHIPPED_FOLDER
from outthink.core.backend import Request
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.core.task import Task
from outthink.evaluation.estimators import best_curve, majority_at_k, pass_at_k
from outthink.evaluation.intervals import accuracy, difference
from outthink.models import TINY_CONTEXT, TINY_SLOTS
from outthink.tasks import calc, countdown, load
from train.tiny.data import LONGEST_TRACE, demonstration
from train.tiny.vocabulary import encode

SEED = 11
KS = (1, 2, 4, 8, 16, 32, 64)
Texts = list[list[str]]
"""Samples of each problem."""


class Model:
    """A GGUF file in the embedded backend."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def __aenter__(self) -> Model:
        self.backend = LlamaCppBackend(self.path, slots=TINY_SLOTS, context=TINY_CONTEXT, threads=1)
        await self.backend.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.backend.close()

    async def samples(self, task: Task, problems: Sequence[Problem], n: int, temperature: float) -> Texts:
        """n samples of each problem; prints the speed."""
        began, used = time.perf_counter(), time.process_time()
        setting = Sampling(max_tokens=int(task.sampling["max_tokens"]), temperature=temperature)
        requests = [
            Request(task.prompt(problem), setting, [SEED + place * n + at])
            for place, problem in enumerate(problems)
            for at in range(n)
        ]
        replies = await asyncio.gather(*map(self.backend.complete, requests))
        tokens = sum(reply.completion_tokens or 0 for reply in replies)
        took, busy = time.perf_counter() - began, time.process_time() - used
        print(
            f"  [{self.path.stem}, {task.name}, temperature {temperature:g}: {tokens / len(replies):.1f} tokens a sample, "
            f"{tokens / took:.0f} tokens/s on {busy / took:.2f} cores]"
        )
        texts = [reply.pieces[0].text for reply in replies]
        return [texts[place * n : (place + 1) * n] for place in range(len(problems))]

    async def scores(self, prompts: Sequence[str]) -> list[float]:
        """P(good) / (P(good) + P(bad)) of the token after each prompt; NaN where neither is likely."""
        setting, need = Sampling(max_tokens=1, temperature=0), LogprobNeed(top=8, first=True)
        distinct = sorted(set(prompts))
        requests = [Request(Prompt.raw(prompt), setting, [0], logprobs=need) for prompt in distinct]
        replies = await asyncio.gather(*map(self.backend.complete, requests))
        found = {}
        for prompt, reply in zip(distinct, replies, strict=True):
            first = reply.pieces[0].meta["first_token"]
            assert isinstance(first, dict)
            good, bad = (math.exp(first.get(word, -math.inf)) for word in ("good", "bad"))
            found[prompt] = good / (good + bad) if good + bad > 0 else math.nan
        return [found[prompt] for prompt in prompts]


async def graded(task: Task, problems: Sequence[Problem], texts: Texts) -> np.ndarray:
    """(P, n) whether each sample is right."""
    rows = []
    for problem, samples in zip(problems, texts, strict=True):
        answers = await task.answers(problem, samples, [])
        rows.append(await task.grade(problem, [answer.text for answer in answers]))
    return np.array(rows, dtype=bool)


def show(label: str, ks: Sequence[int], columns: Sequence[np.ndarray]) -> None:
    """One line: a share with its interval at each k."""
    found = [accuracy(column) for column in columns]
    cells = (
        f"{k}: {100 * each.value:.1f} [{100 * each.low:.1f}, {100 * each.high:.1f}]" for k, each in zip(ks, found, strict=True)
    )
    print(f"{label:34}", "  ".join(cells))


def show_coverage(label: str, right: np.ndarray) -> None:
    """pass@k at every k up to the samples at hand."""
    ks = [k for k in KS if k <= right.shape[1]]
    show(label, ks, [pass_at_k(right.shape[1], right.sum(1), k) for k in ks])


async def selection(name: str, folder: Path, problems: Sequence[Problem], texts: Texts, right: np.ndarray) -> None:
    """Best-of-n by a verifier's last score and by its least, and how well its scores tell good steps from bad ones."""
    prompts, where, labels = [], [], []
    for row, (problem, samples) in enumerate(zip(problems, texts, strict=True)):
        for column, text in enumerate(samples):
            lines = text.rstrip("\n").split("\n")
            for step in range(1, len(lines) + 1):
                beginning = "\n".join(lines[:step]) + "\n"
                prompts.append(f"{problem.text}\n{beginning}")
                where.append((row, column, step))
                labels.append(countdown.value(problem, beginning))
    async with Model(folder / f"{name}.gguf") as model:
        scores = await model.scores(prompts)
    last, least = np.full(right.shape, np.nan), np.full(right.shape, np.inf)
    for (row, column, _), score in zip(where, scores, strict=True):
        last[row, column], least[row, column] = score, min(least[row, column], score)
    for rule, table in (("last", last), ("min", least)):
        curves = np.array([best_curve(*pair, KS) for pair in zip(table, right, strict=True)])
        show(f"best-of-n, {name}, {rule}", KS, list(curves.T))
        print(f"  of 64 minus of 16: {difference(curves[:, KS.index(64)], curves[:, KS.index(16)])}")
    areas = {
        step: area(
            [s for s, w in zip(scores, where, strict=True) if w[2] == step],
            [x for x, w in zip(labels, where, strict=True) if w[2] == step],
        )
        for step in (1, 2, 3)
    }
    print(f"  AUC of {name} against the solver, by step: " + ", ".join(f"{step}: {value:.3f}" for step, value in areas.items()))


def area(scores: Sequence[float], labels: Sequence[float]) -> float:
    """The chance that a good step has a higher score than a bad one; ties count half."""
    order = np.argsort(scores, kind="stable")
    values, good = np.asarray(scores)[order], np.asarray(labels)[order] > 0
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    hits, misses = int(good.sum()), int((~good).sum())
    return float((ranks[good].sum() - hits * (hits + 1) / 2) / (hits * misses))


def demonstrated(problems: Sequence[Problem]) -> np.ndarray:
    """(P, 1) whether the demonstrator of searches solves each problem within the length of a trace that is learned."""
    chance, found = random.Random(SEED), []
    for problem in problems:
        text = demonstration(chance, *countdown.read(problem))
        prompt = f"search {problem.text.removeprefix('make ')}\n"
        found.append([text is not None and 2 + len(encode(prompt + text)) <= LONGEST_TRACE])
    return np.array(found)


async def measured(folder: Path, count: int) -> None:
    """Print everything."""
    direct, searching, summing = load("countdown"), load("countdown_search"), load("calc")
    problems, sums = countdown.problems(count, seed=SEED), calc.problems(count, seed=SEED)
    async with Model(folder / "tiny.gguf") as model:
        texts = await model.samples(direct, problems, 64, 1.0)
        right = await graded(direct, problems, texts)
        show_coverage("countdown, pass@k", right)
        cool = await graded(direct, problems, await model.samples(direct, problems, 16, 0.7))
        show_coverage("countdown, pass@k, T 0.7", cool)
        show_coverage("countdown, greedy", await graded(direct, problems, await model.samples(direct, problems, 1, 0.0)))
        claims = [
            [text.rstrip("\n").endswith(f"={problem.gold}") for text in row] for problem, row in zip(problems, texts, strict=True)
        ]
        print(f"  {100 * np.mean(claims):.1f}% of the samples end in the target, {100 * right.mean():.1f}% are right")
        await voted("countdown, majority of k, T 1", direct, problems, texts)
        for temperature in (0.0, 0.6, 1.0):
            drawn = await model.samples(summing, sums, 32 if temperature else 1, temperature)
            await voted(f"calc, majority of k, T {temperature:g}", summing, sums, drawn)
    for name in ("tiny-verifier", "tiny-verifier-rollouts"):
        await selection(name, folder, problems, texts, right)
    async with Model(folder / "tiny-weak.gguf") as model:
        show_coverage("weak, pass@k", await graded(direct, problems, await model.samples(direct, problems, 16, 1.0)))
    async with Model(folder / "tiny-search.gguf") as model:
        show("demonstrator of searches", [1], [demonstrated(problems)])
        for temperature, n in ((0.0, 1), (1.0, 8)):
            found = await graded(searching, problems, await model.samples(searching, problems, n, temperature))
            show_coverage(f"search, pass@k, T {temperature:g}", found)


async def voted(label: str, task: Task, problems: Sequence[Problem], texts: Texts) -> None:
    """Majority of k."""
    ks = [k for k in KS if k <= len(texts[0])]
    rows = []
    for problem, samples in zip(problems, texts, strict=True):
        answers = await task.answers(problem, samples, [])
        kinds = sorted({answer.text for answer in answers if answer.text is not None})
        votes = [sum(answer.text == kind for answer in answers) for kind in kinds]
        right = await task.grade(problem, kinds)
        rows.append([majority_at_k(votes, right, k, invalid=len(answers) - sum(votes)) for k in ks])
    show(label, ks, list(np.array(rows).T))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny.measure", description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED_FOLDER)
    parser.add_argument("--problems", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(measured(given.folder, given.problems))


if __name__ == "__main__":
    main()
