"""Arithmetic per answer: what a long trace costs against many short ones, the growing context counted.

Tokens alone hide that each further token looks back at all before it. Money and seconds live in `costs` and in runs' own usage.
"""

from __future__ import annotations

from dataclasses import dataclass

from outthink.core.given import whole

__all__ = ["Shape", "flops"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A transformer's sizes: hidden, key/value (all heads of a token together) and MLP width, and layers. Raises BadInput."""

    hidden: int
    key_value: int
    inner: int
    layers: int

    def __post_init__(self) -> None:
        for name in ("hidden", "key_value", "inner", "layers"):
            whole(name, getattr(self, name), 1)


def flops(shape: Shape, tokens: int, samples: int = 1) -> int:
    """Of `samples` answers of `tokens` tokens each (arXiv:2504.07052, section 4):
    n L [(2h² + 2hk + 3hi) T + h T(T+1)/2], a multiplication and its addition counted as one.

    Linear in samples, more than linear in tokens: n answers of T tokens cost less than one of nT. Raises BadInput.
    """
    h, k, i = shape.hidden, shape.key_value, shape.inner
    length, many = whole("tokens", tokens, 0), whole("samples", samples, 0)
    each = (2 * h * h + 2 * h * k + 3 * h * i) * length + h * (length * (length + 1) // 2)
    return many * shape.layers * each
