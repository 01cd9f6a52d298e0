"""What the multifurcation reward model learns: a reward of every token that may come next, from those that did come.

Qiu et al. 2025, "Saffron-1", arXiv:2506.06444. A decoder whose logits are rewards: M(s)[a] is the reward of the text s + a. It is
supervised in part: (M(s_<j)[s_j] - R(s_<=j))^2 over the tokens s_j of written answers. R is 0 where the text can still become a
right answer and -1 where it can't, so that M learns minus the chance that it can't. Every token is pulled to a reward below
both, so weakly that only what never comes after such a text gets there. The reward of the unknown token is 0 by construction:
its embedding is zero, and no loss ever moves it. Servers give log-probabilities, and those minus the unknown token's are the
rewards; nothing is worth more than 0 but by error, so the unknown token is always among the few that a server names.
Differs from the official code: R is the exact solver's, not the logit of a guard model; all weights are trained, from some of the
policy's layers, not low-rank ones and a bias; what was never seen is learned and told apart by its text, instead of a mask of
tokens never seen anywhere, because weights are all that a server takes and all the tokens it names must be comparable.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from train.tiny.labels import UNLABELLED, Example, walks
from train.tiny.model import Model
from train.tiny.token_labels import alive
from train.tiny.training import Lesson, loaded, save
from train.tiny.vocabulary import BEGIN, END, NEWLINE, UNKNOWN, encode

PENALTY = -2.0
"""Reward of a token that was never seen there; others get their label minus 1."""
WEIGHT_OF_PENALTY = 0.25
"""Of all tokens together: a good token that comes once in fifty times loses less than a tenth."""
ROW, BATCH = 40, 72
"""Tokens of a row, enough for four numbers, and rows of a step."""
LAYERS = (0, 1, 2)
"""Layers of the policy that the reward model begins with; with all six it would not fit into the package."""

Row = tuple[list[int], list[float]]


def lesson(name: str, rollouts: Callable[[], list[Example]], steps: int, *, share_of_walks: float) -> Lesson:
    """Learn rewards of the tokens of rollouts, with a share of walks among them. rollouts: makes them, when training begins."""

    def made(seed: int) -> Iterator[tuple[Tensor, ...]]:
        return batches(rollouts(), walks(random.Random(seed), monte_carlo=False), share_of_walks, seed)

    return Lesson(name, made, loss, 0.0, rate=5e-3, decay=0.8, steps=steps)


def begun(policy: Path, target: Path) -> Path:
    """Write what training begins with: some layers of the policy, small rewards, and an unknown token that is worth nothing."""
    whole = loaded(policy)
    model = Model(replace(whole.shape, layers=len(LAYERS)))
    model.embedding, model.norm = whole.embedding, whole.norm
    for place, layer in enumerate(LAYERS):
        model.blocks[place] = whole.blocks[layer]
    model.norm.weight.data *= 0.1  # the logits of a language model are far larger than rewards
    model.embedding.weight.data[UNKNOWN] = 0.0
    save(model, target, 0)
    return target


def row_of(example: Example) -> Row:
    """ROW + 1 ids, and of each the label of the text that ends in it; the prompt and what comes after the end have none."""
    ids = [BEGIN, *encode(example.text()), END]
    prompt = ids.index(NEWLINE) + 1
    labels = alive(example.numbers, example.target, ids[prompt:])
    missing = ROW + 1 - len(ids)
    known = [UNLABELLED] * prompt + list(map(float, labels)) + [UNLABELLED] * missing
    return (ids + [END] * missing)[: ROW + 1], known[: ROW + 1]


def batches(rollouts: list[Example], made: Iterator[Example], share_of_walks: float, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Ids and labels, (BATCH, ROW + 1) each; rollouts in an order that changes with every round."""
    chance, known = random.Random(seed), [row_of(example) for example in rollouts]
    order = list[Row]()
    while True:
        rows = []
        while len(rows) < BATCH:
            if chance.random() < share_of_walks:
                rows.append(row_of(next(made)))
                continue
            if not order:
                order = chance.sample(known, len(known))
            rows.append(order.pop())
        yield tuple(map(torch.tensor, zip(*rows, strict=True)))


def loss(model: Model, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error of the rewards of the tokens that came, and of the penalty of all but the unknown token."""
    told, labels = model(ids[:, :-1]).float(), labels[:, 1:]
    came = told.gather(-1, ids[:, 1:, None])[..., 0]
    error = (came - (labels - 1)).square() + WEIGHT_OF_PENALTY * (told[..., UNKNOWN + 1 :] - PENALTY).square().mean(-1)
    known = labels != UNLABELLED
    return (error * known).sum() / known.sum()
