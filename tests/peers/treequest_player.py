"""Runs inside treequest's own environment: plays a script of scores and says under which answer each next one went.

Reads JSON: {"prior": "gaussian" or "beta", "scores": [...]}, prints {"parents": [...]}: ordinals of answers, -1 for the root.
Draws are a fixed function of what is believed, the same on both sides, so that no randomness is left to compare.
"""

import json
import math
import sys

from treequest.algos.ab_mcts_a import prob_state
from treequest.algos.ab_mcts_a.algo import ABMCTSA


def draw(dist):
    """Somewhere around the mean, by the parameters alone."""
    params = dist.params
    if dist.dist_type == "beta":
        mean, spread = params["a"] / (params["a"] + params["b"]), params["a"] + params["b"]
    else:
        mean, spread = params["m"], params["kappa"] + params["tau_square"]
    return mean + 0.4 * math.sin(997 * mean + 31 * spread)


prob_state.ProbabilisticDist.draw_sample = draw
script = json.load(sys.stdin)
algorithm = ABMCTSA(dist_type=script["prior"])
state, parents = algorithm.init_tree(), []
for ordinal, score in enumerate(script["scores"]):

    def answer(parent, ordinal=ordinal, score=score):
        """The answer is its own ordinal."""
        parents.append(-1 if parent is None else parent)
        return ordinal, score

    state = algorithm.step(state, {"answer": answer})
print(json.dumps({"parents": parents}))
