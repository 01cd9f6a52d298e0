"""Names of operations, and the seeds and randomness that follow from them.

A key doesn't depend on the order of launch or arrival: it says where in the strategy's own program an operation stands.
Seeds and random numbers are hashes of keys, so the same program asks for the same things in any schedule.
"""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

SEED_BITS = 31
"""Seeds fit a signed 32-bit integer, which every known server takes."""


class Key(NamedTuple):  # a tuple, because two are made for every sample
    """Where an operation stands.

    run:   the run's name, unique in a journal
    path:  spawn ordinals from the run to the child that asked, in each parent's program order; () is the run itself
    seq:   the how-manieth operation of that child, from 0; below 0 the how-manieth wait or cancel, from -1
    index: the how-manieth sample of that operation, from 0; -1 names the operation itself
    """

    run: str
    path: tuple[int, ...] = ()
    seq: int = 0
    index: int = -1  # type: ignore[assignment]  # a place is what it is here, not a tuple's method

    def sample(self, index: int) -> Key:
        """The key of one sample of this operation."""
        return Key(self.run, self.path, self.seq, index)

    def __str__(self) -> str:
        place = ".".join(map(str, (*self.path, self.seq))) if self.path else self.seq
        return f"{self.run}/{place}" if self.index < 0 else f"{self.run}/{place}#{self.index}"


def hashed(seed: int, *parts: object) -> int:
    """A number in [0, 2**64) that is a pure function of its arguments' texts."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def seed_of(seed: int, key: Key | str) -> int:
    """The sampling seed of a key, or of its text: in [1, 2**31)."""
    return 1 + hashed(seed, key) % ((1 << SEED_BITS) - 1)


Chance = random.Random
"""What `Run.rng` gives: strategies and parts take it, and make none."""


def rng_of(seed: int, key: Key) -> Chance:
    """A random number generator that is a pure function of its arguments."""
    return random.Random(hashed(seed, key, "rng"))
