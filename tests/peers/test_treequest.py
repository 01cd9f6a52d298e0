"""AB-MCTS-A goes on from the same answers as treequest's, given the same scores and the same draws.

treequest lives in an environment of its own (`make peers`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
from pathlib import Path

import pytest

from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts.adaptive_branching import add, aggregated, next_parent, tree
from outthink.parts.beliefs import BELIEFS, Beta, Gaussian

PEER = Path(__file__).parents[2] / ".peers" / "treequest" / "bin" / "python"
PLAYER = Path(__file__).with_name("treequest_player.py")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not PEER.exists(), reason="treequest has no environment here; `make peers` makes it"),
]


def around(mean: float, spread: float) -> float:
    """The draw that the player uses too."""
    return mean + 0.4 * math.sin(997 * mean + 31 * spread)


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
@pytest.mark.parametrize("seed", range(5))
def test_the_same_tree(prior: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gaussian(belief: Gaussian, _: random.Random) -> float:
        return around(belief.mean, belief.kappa + belief.variance)

    def beta(belief: Beta, _: random.Random) -> float:
        return around(belief.good / (belief.good + belief.bad), belief.good + belief.bad)

    monkeypatch.setattr(Gaussian, "draw", gaussian)
    monkeypatch.setattr(Beta, "draw", beta)
    chance = random.Random(seed)
    scores = [round(chance.random(), 3) for _ in range(48)]
    script = json.dumps({"prior": prior, "scores": scores})
    done = subprocess.run([PEER, PLAYER], input=script, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    belief, parents = BELIEFS[prior], []
    root = tree(belief)
    for at, score in enumerate(scores):
        parent = next_parent(root, aggregated, chance)
        parents.append(-1 if parent.sample is None else parent.sample.key.index)
        add(parent, Sample(Key("t", (), 0, at), str(at), Finish.EOS), score, belief)
    assert json.loads(done.stdout)["parents"] == parents
    assert len({*parents}) > 1, "not a star"
