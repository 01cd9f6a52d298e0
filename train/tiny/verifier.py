"""What the verifiers learn: after each step the token `good` or `bad`, with the label's chance.

score = P(good) / (P(good) + P(bad)) of the next token after a step's newline.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from train.tiny.labels import UNLABELLED, Example, walks
from train.tiny.model import Model
from train.tiny.training import Lesson
from train.tiny.vocabulary import BAD, BEGIN, END, GOOD, NEWLINE, encode

ROW, BATCH = 56, 72


def lesson(
    name: str, rollouts: Callable[[], list[Example]], minutes: float, *, share_of_walks: float, monte_carlo: bool
) -> Lesson:
    """Learn the labels of rollouts, with a share of walks among them. rollouts: makes them, when training begins."""

    def made(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        return batches(rollouts(), walks(random.Random(seed), monte_carlo=monte_carlo), share_of_walks, seed)

    return Lesson(name, made, loss, minutes, rate=2e-3, decay=0.8)


def row_of(example: Example) -> tuple[list[int], list[float]]:
    """ROW ids, and the label of each; unlabelled where no step ends. Lines beyond the row are left out."""
    ids = [BEGIN, *encode(example.text())][:ROW]
    labels, waiting = [UNLABELLED] * ROW, list(example.labels)
    steps = [place for place, token in enumerate(ids) if token == NEWLINE][1:]
    for place, label in zip(steps, waiting, strict=False):
        labels[place] = label
    return ids + [END] * (ROW - len(ids)), labels


def batches(
    rollouts: list[Example], made: Iterator[Example], share_of_walks: float, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids and labels, (BATCH, ROW) each; rollouts in an order that changes with every round."""
    chance = random.Random(seed)
    order: list[Example] = []
    while True:
        rows = []
        while len(rows) < BATCH:
            if chance.random() < share_of_walks:
                rows.append(row_of(next(made)))
                continue
            if not order:
                order = chance.sample(rollouts, len(rollouts))
            rows.append(row_of(order.pop()))
        ids, labels = zip(*rows, strict=True)
        yield torch.tensor(ids), torch.tensor(labels)


def loss(model: Model, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the two verdicts, over the whole vocabulary, so that no other token is likely."""
    logprobs = model(ids).float().log_softmax(-1)
    known = labels != UNLABELLED
    each = labels * logprobs[..., GOOD] + (1 - labels) * logprobs[..., BAD]
    return -(each * known).sum() / known.sum()


@torch.inference_mode()
def scores(model: Model, examples: list[Example]) -> list[list[float]]:
    """The model's score of every step of each example."""
    found: list[list[float]] = []
    for start in range(0, len(examples), 512):
        some = examples[start : start + 512]
        logits = model(torch.tensor([row_of(example)[0] for example in some]))
        share = torch.sigmoid(logits[..., GOOD] - logits[..., BAD])
        for example, row in zip(some, share, strict=True):
            steps = [at for at, token in enumerate(row_of(example)[0]) if token == NEWLINE][1:]
            found.append(row[steps].tolist())
    return found
