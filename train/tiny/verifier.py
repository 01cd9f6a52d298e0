"""What the verifiers learn: after each step the token `good` or `bad`, with the label's chance.

score = P(good) / (P(good) + P(bad)) of the next token after a step's newline. Within the steps of right answers they go on
learning the next token: that teaches arithmetic, which is most of what they must know, at every token and not once a step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from train.tiny.data import IGNORED
from train.tiny.labels import UNLABELLED, Example, walks
from train.tiny.model import Model
from train.tiny.training import Lesson
from train.tiny.vocabulary import BAD, BEGIN, END, GOOD, NEWLINE, encode

ROW, BATCH = 56, 72
WEIGHT_OF_TEXT = 0.5


def lesson(
    name: str, rollouts: Callable[[], list[Example]], minutes: float, *, share_of_walks: float, monte_carlo: bool
) -> Lesson:
    """Learn the labels of rollouts, with a share of walks among them. rollouts: makes them, when training begins."""

    def made(seed: int) -> Iterator[tuple[Tensor, ...]]:
        return batches(rollouts(), walks(random.Random(seed), monte_carlo=monte_carlo), share_of_walks, seed)

    return Lesson(name, made, loss, minutes, rate=2e-3, decay=0.8)


def row_of(example: Example) -> tuple[list[int], list[float], list[int]]:
    """ROW ids, the label of each (unlabelled where no step ends), and next tokens to learn. Lines beyond the row are left out."""
    ids = [BEGIN, *encode(example.text())][:ROW]
    labels = [UNLABELLED] * ROW
    prompt, *steps = [place for place, token in enumerate(ids) if token == NEWLINE]
    for place, label in zip(steps, example.labels, strict=False):
        labels[place] = label
    following = [IGNORED] * ROW
    if example.labels[-1:] == (1.0,):
        following[prompt : len(ids) - 1] = ids[prompt + 1 :]
        for place in steps:
            following[place] = IGNORED
    return ids + [END] * (ROW - len(ids)), labels, following


def batches(rollouts: list[Example], made: Iterator[Example], share_of_walks: float, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Ids, labels and next tokens, (BATCH, ROW) each; rollouts in an order that changes with every round."""
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
        yield tuple(map(torch.tensor, zip(*rows, strict=True)))


def loss(model: Model, ids: Tensor, labels: Tensor, following: Tensor) -> Tensor:
    """Mean cross entropy of the two verdicts, over the whole vocabulary, so that no other token is likely; and of text."""
    logprobs = model(ids).float().log_softmax(-1)
    known = labels != UNLABELLED
    each = labels * logprobs[..., GOOD] + (1 - labels) * logprobs[..., BAD]
    text = functional.nll_loss(logprobs.flatten(0, 1), following.flatten(), ignore_index=IGNORED)
    return -(each * known).sum() / known.sum() + WEIGHT_OF_TEXT * text


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
