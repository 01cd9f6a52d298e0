"""The model: a Llama block as llama.cpp computes it, in torch. Nothing here knows tasks or training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.tiny.vocabulary import TOKENS


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; the defaults make 1,327,616 parameters. context: most positions it is meant for."""

    width: int = 128
    layers: int = 6
    heads: int = 4
    hidden: int = 384
    vocabulary: int = len(TOKENS)
    context: int = 768
    epsilon: float = 1e-5
    base: float = 10_000.0


Cache = list[tuple[Tensor, Tensor]]
"""Keys and values per layer, each (rows, heads, positions, width of a head)."""


class Norm(nn.Module):
    """RMS norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(shape.width)), shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class Block(nn.Module):
    """Attention and SwiGLU, each on a norm, each added."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, self.heads = shape.width, shape.heads
        self.attention_norm, self.hidden_norm = Norm(shape), Norm(shape)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, width, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        rows, length, width = x.shape
        split = self.qkv(self.attention_norm(x)).view(rows, length, 3, self.heads, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in split.unbind(2))
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and length > 1)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        gate, up = self.gate_up(self.hidden_norm(x)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * up), (k, v)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on interleaved pairs, which is what llama.cpp does for this architecture."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Model(nn.Module):
    """Token ids (rows, length) to logits (rows, length, vocabulary). Output weights are the embedding."""

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)
        size = shape.width // shape.heads
        angles = torch.arange(shape.context)[:, None] * shape.base ** (-torch.arange(0, size, 2) / size)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
                if name.endswith(("out.weight", "down.weight")):
                    parameter.data /= (2 * shape.layers) ** 0.5

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of every position, without a cache: for training."""
        x = self.embedding(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for block in self.blocks:
            x, _ = block(x, cos, sin, None, None)
        return functional.linear(self.norm(x), self.embedding.weight)

    def step(self, ids: Tensor, positions: Tensor, mask: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Logits of the last position, and the longer cache. positions: (rows, length); mask: (rows, 1, length, all)."""
        x, longer = self.embedding(ids), []
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        for place, block in enumerate(self.blocks):
            x, kept = block(x, cos, sin, cache[place] if cache else None, mask)
            longer.append(kept)
        return functional.linear(self.norm(x[:, -1]), self.embedding.weight), longer
