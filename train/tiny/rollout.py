"""Sampling from a model in torch, many prompts at once: fast rollouts for training and for its checks.

Prompts of different lengths stand against the right edge; what is left of them is hidden by a mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

from train.tiny.model import Cache, Model
from train.tiny.vocabulary import END


@torch.inference_mode()
def sampled(
    model: Model, prompts: list[list[int]], limit: int, *, temperature: float = 1.0, chance: torch.Generator | None = None
) -> list[list[int]]:
    """A continuation of each prompt, without its end token; at most `limit` tokens. temperature 0 is greedy."""
    longest, rows = max(map(len, prompts)), len(prompts)
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.tensor([[END] * (longest - len(prompt)) + prompt for prompt in prompts])
    hidden = longest - lengths
    positions = (torch.arange(longest)[None] - hidden[:, None]).clamp(min=0)
    seen = torch.arange(longest)[None] >= hidden[:, None]
    mask = (seen[:, None] & torch.ones(longest, longest, dtype=torch.bool).tril()[None])[:, None]
    mask = mask | torch.eye(longest, dtype=torch.bool)
    logits, cache = model.step(ids, positions, mask, None)
    alive = torch.arange(rows)
    texts: list[list[int]] = [[] for _ in range(rows)]
    for done in range(limit):
        chosen = picked(logits, temperature, chance)
        going = chosen != END
        for row, token in zip(alive[going].tolist(), chosen[going].tolist(), strict=True):
            texts[row].append(token)
        if done == limit - 1 or not going.any():
            break
        if not going.all():
            alive, chosen, seen = alive[going], chosen[going], seen[going]
            cache = kept(cache, going)
        seen = torch.cat((seen, torch.ones(len(alive), 1, dtype=torch.bool)), 1)
        at = (lengths[alive] + done)[:, None]
        logits, cache = model.step(chosen[:, None], at, seen[:, None, None], cache)
    return texts


def picked(logits: Tensor, temperature: float, chance: torch.Generator | None) -> Tensor:
    """One token per row."""
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial((logits.float() / temperature).softmax(-1), 1, generator=chance)[:, 0]


def kept(cache: Cache, rows: Tensor) -> Cache:
    """The cache of some rows only."""
    return [(keys[rows], values[rows]) for keys, values in cache]
