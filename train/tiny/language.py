"""What the generators learn: the next token of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional

from train.tiny.data import IGNORED, Rows
from train.tiny.model import Model
from train.tiny.training import Lesson

BATCH = 16


def lesson(name: str, shares: Mapping[str, float], minutes: float, *, decay: float = 0.0) -> Lesson:
    """Learn documents; shares: the part of all tokens that each kind of document gets."""
    return Lesson(name, lambda seed: batches(shares, seed), loss, minutes, decay=decay)


def batches(shares: Mapping[str, float], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Ids (BATCH, ROW) and the labels of the next tokens."""
    rows = iter(Rows(shares, seed))
    while True:
        ids, labels = zip(*islice(rows, BATCH), strict=True)
        yield torch.tensor(ids)[:, :-1], torch.tensor(labels)[:, 1:]


def loss(model: Model, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the labelled tokens."""
    return functional.cross_entropy(model(ids).flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
