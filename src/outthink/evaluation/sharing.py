"""What sharing prefixes saves: tokens to compute, cells to hold and bytes to read, with and without. Pure formulas.

What a backend really shared is measured by benchmarks/sharing.py; a law of scores or money must not live here.
Sources: vLLM's automatic prefix caching (blocks), SGLang (arXiv:2312.07104), Hydragen (arXiv:2402.05099).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outthink.core.errors import BadInput
from outthink.core.given import whole

__all__ = ["Tokens", "block_cached", "bytes_read", "prefill", "tree_tokens"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of a tree of sequences. apart: each sequence for itself; distinct: each prefix once."""

    apart: int
    distinct: int

    @property
    def factor(self) -> float:
        """How many times more is computed and held without sharing; 1 where nothing is asked for."""
        return self.apart / self.distinct if self.distinct else 1.0


def tree_tokens(sequences: Iterable[Sequence[int]]) -> Tokens:
    """Of sequences of token ids; the same sequence twice is shared too."""
    apart, distinct = 0, 0
    before: Sequence[int] = ()
    for each in sorted(map(tuple, sequences)):  # in this order a sequence shares most with the one before it
        common = 0
        for one, other in zip(before, each, strict=False):
            if one != other:
                break
            common += 1
        apart += len(each)
        distinct += len(each) - common
        before = each
    return Tokens(apart, distinct)


def block_cached(common: int, prompt: int, block: int = 1) -> int:
    """Tokens of a prompt that a cache of whole blocks gives, of which `common` have been computed before.

    b floor(min(common, P - 1) / b): the last token is always computed again, for its logits; a prompt that ends with a block
    computes that block again. block: 16 as vLLM's usual one, 1 for llama.cpp and SGLang. Raises BadInput.
    """
    common, prompt, block = whole("common", common, 0), whole("prompt", prompt, 1), whole("block", block, 1)
    if common > prompt:
        raise BadInput(f"is {common} of a prompt of {prompt} tokens", where="common")
    return block * (min(common, prompt - 1) // block)


def prefill(prompt: int, samples: int, block: int | None = None) -> int:
    """Prompt tokens that n samples of one prompt compute: n P without a cache (None), P + (n - 1)(P - b floor((P - 1) / b)) with
    one of whole blocks, and P where the samples are forked (block 0). Raises BadInput."""
    prompt, samples = whole("prompt", prompt, 1), whole("samples", samples, 1)
    if block is None:
        return samples * prompt
    if whole("block", block, 0) == 0:
        return prompt
    return prompt + (samples - 1) * (prompt - block_cached(prompt, prompt, block))


def bytes_read(weights: int, prompt: int, answer: float, samples: int, each: int, *, shared: bool) -> float:
    """Bytes that one decoding step of n samples reads: weights, and keys and values of their prompt P and mean answer S so far.

    each:   bytes of one token's keys and values: 2 · heads · width · bytes · layers
    shared: the prompt is read once for all, W + (P + n S) s, as tree kernels do; else W + n (P + S) s, also where only the
            memory is shared. Raises BadInput
    """
    numbers = {"weights": weights, "prompt": prompt, "answer": answer, "samples": samples, "each": each}
    if low := [name for name, value in numbers.items() if value < 0]:
        raise BadInput("is negative", where=", ".join(low))
    return weights + ((prompt if shared else samples * prompt) + samples * answer) * each
