"""How good the multifurcation reward model is on held-out problems, through the embedded backend: prints figures of
`docs/tiny.md`.

`python -m train.tiny.measure_rewards` measures what ships; `--folder build/tiny` what was just trained, and how far its
exports are from torch.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.weights import SHIPPED_FOLDER
from outthink.core.backend import Request
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.sample import Sample
from outthink.core.sampling import Sampling
from outthink.evaluation.estimators import best_curve
from outthink.models import TINY_CONTEXT, TINY_SLOTS
from outthink.parts.next_tokens import nucleus, rewards
from outthink.tasks import countdown, load
from train.tiny.export import export
from train.tiny.measure import KS, SEED, Model, Texts, area, graded, show
from train.tiny.multifurcation import PENALTY
from train.tiny.token_labels import alive
from train.tiny.training import loaded
from train.tiny.vocabulary import BEGIN, DEFINED, END, IDS, NEWLINE, TOKENS, UNKNOWN, encode

NAME, REFERENCE, LISTED = "tiny-rewards", TOKENS[UNKNOWN], 20
"""Tokens that the strategy `saffron` asks for, unless told otherwise."""
SAMPLES, JUDGED = 64, 4
"""Of each problem; and those of them whose tokens are judged."""


async def first_tokens(file: Path, beginnings: Sequence[str], top: int = LISTED) -> list[Sample]:
    """What a model says of the token after each text, as samples that know their alternatives."""
    backend = LlamaCppBackend(file, slots=TINY_SLOTS, context=TINY_CONTEXT, threads=1)
    await backend.open()
    try:
        setting, need = Sampling(max_tokens=1, temperature=0), LogprobNeed(top, first=True)
        asked = [Request(Prompt.raw(beginning), setting, [0], logprobs=need) for beginning in beginnings]
        replies = await asyncio.gather(*map(backend.complete, asked))
    finally:
        await backend.close()
    return [Sample(Key("first", ()), "", reply.pieces[0].finish, meta=reply.pieces[0].meta) for reply in replies]


async def told_by(file: Path, beginnings: Sequence[str], top: int = len(TOKENS)) -> list[dict[str, float]]:
    """The rewards of the tokens after each text."""
    return [rewards(sample, REFERENCE) for sample in await first_tokens(file, beginnings, top)]


async def areas(folder: Path, problems: Sequence[Problem], texts: Texts) -> None:
    """Print how well the rewards tell tokens after which a text can become right from the others."""
    where: dict[str, list[tuple[str, bool, str]]] = {}  # by beginning: next token, its label, and what it is counted for
    for problem, samples in zip(problems, texts, strict=True):
        numbers, target = countdown.read(problem)
        for text in samples:
            ids, step = [*encode(text), END], 1
            before, beginning = True, f"{problem.text}\n"
            for token, label in zip(ids, alive(numbers, target, ids), strict=True):
                kinds = ["all"] + ["alive"] * before + [f"end of step {step}"] * (token == NEWLINE)
                word = "" if token == END else TOKENS[token]
                where.setdefault(beginning, []).extend((word, label, kind) for kind in kinds)
                before, beginning, step = label, beginning + word, step + (token == NEWLINE)
    beginnings = list(where)
    lists = await first_tokens(folder / f"{NAME}.gguf", beginnings)
    likely = await first_tokens(folder / "tiny.gguf", beginnings)
    listed = [REFERENCE in sample.meta["first_token"] for sample in lists]  # type: ignore[operator]
    known = [rewards(sample, REFERENCE) if there else {} for sample, there in zip(lists, listed, strict=True)]
    wanted = [token in told for told, sample in zip(known, likely, strict=True) for token in nucleus(sample, 0.8)]
    print(f"{len(beginnings)} beginnings; the reference is among the first {LISTED} of {100 * np.mean(listed):.2f}%,")
    print(f"  and {100 * np.mean(wanted):.2f}% of the tokens in the policy's nucleus of 0.8 are")
    told = dict(zip(beginnings, known, strict=True))
    for kind in ("all", "alive", "end of step 1", "end of step 2", "end of step 3"):
        found = [(told[text].get(word, PENALTY), label) for text in beginnings for word, label, of in where[text] if of == kind]
        scores, labels = zip(*found, strict=True)
        error = np.mean([(score - (label - 1)) ** 2 for score, label in found])
        good, value = 100 * np.mean(labels), area(scores, labels)
        print(f"  {kind}: AUC {value:.3f}, squared error {error:.3f} ({len(found)} tokens, {good:.1f}% good)")


def named(word: str, row: Sequence[float]) -> float:
    """The reward that a server gives by a word's text: of the word and the byte that have it, the better one's."""
    return max(row[IDS[word]], row[3 + ord(word)]) if len(word) == 1 else row[IDS[word]]


def drift(weights: Path, beginnings: Sequence[str]) -> None:
    """Print how far the rewards of the float32 and q8_0 exports are from torch."""
    model = loaded(weights)
    with torch.inference_mode():
        expected = [model(torch.tensor([[BEGIN, *encode(text)]]))[0, -1].tolist() for text in beginnings]
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("f32", "q8_0"):
            file = Path(folder) / f"{kind}.gguf"
            export(weights, file, "check", quantised=kind == "q8_0", reference=True)
            gaps = [
                abs(told[word] - named(word, row))
                for told, row in zip(asyncio.run(told_by(file, beginnings)), expected, strict=True)
                for word in DEFINED
            ]
            print(f"{kind}: {len(gaps)} rewards differ from torch by {np.mean(gaps):.1e} on average, {max(gaps):.1e} at most")


async def selection(folder: Path, problems: Sequence[Problem], texts: Texts, right: np.ndarray) -> None:
    """Print best-of-n by the reward of the end token: what the same model buys without a search."""
    beginnings = sorted({f"{problem.text}\n{text}" for problem, row in zip(problems, texts, strict=True) for text in row})
    told = dict(zip(beginnings, await told_by(folder / f"{NAME}.gguf", beginnings, LISTED), strict=True))
    scores = [[told[f"{p.text}\n{text}"].get("", PENALTY) for text in row] for p, row in zip(problems, texts, strict=True)]
    ks = [k for k in KS if k <= right.shape[1]]
    curves = np.array([best_curve(*pair, ks) for pair in zip(scores, right, strict=True)])
    show(f"best-of-n, {NAME}", ks, list(curves.T))


async def measured(folder: Path, count: int, seed: int) -> None:
    """Print what can be told of the model alone."""
    task, problems = load("countdown"), countdown.problems(count, seed=seed)
    async with Model(folder / "tiny.gguf") as model:
        texts = await model.samples(task, problems, SAMPLES, 1.0)
    await areas(folder, problems, [row[:JUDGED] for row in texts])
    await selection(folder, problems, texts, await graded(task, problems, texts))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny.measure_rewards", description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED_FOLDER)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED, help="of the problems; `benchmarks/search.py` has 2026")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if (weights := given.folder / "rewards.pt").exists():
        starts = [f"{problem.text}\n" for problem in countdown.problems(20)]
        drift(weights, [*starts, *(f"{start}{line}" for start in starts for line in ("", "25", "25/5=5,5 6 13\n13*"))])
    asyncio.run(measured(given.folder, given.problems, given.seed))


if __name__ == "__main__":
    main()
