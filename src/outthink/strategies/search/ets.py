"""ETS: REBASE on the leaves that an integer program keeps: good ones, that share their ancestors, and differ in what they say.

Paper: "ETS: Efficient Tree Search for Inference-Time Scaling", arXiv:2502.13575. It maximises the program of
`outthink.parts.tree_selection` at each depth.
Differs from its code: the embedding is runs of three characters unless `embedder` says that a role of this name is bound (an
async method `embed(texts)` that gives a vector per text; the paper's is a small model of mathematical similarity); cost 0 is
exactly off; HiGHS solves the program instead of CBC, for at most 2 seconds and a quarter of what is left of a budget in
seconds; a choice that it can't prove best by then is a rounded one, so that a faster machine may choose otherwise.
"""

from __future__ import annotations

import math

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.given import LARGEST
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import tree_selection
from outthink.parts.allocation import rebase
from outthink.parts.frontier import arrived, parted
from outthink.parts.traces import ROOT, Trace, choose, grow, rate


@strategy(
    "ets",
    paper="arXiv:2502.13575",
    title="ETS: Efficient Tree Search for Inference-Time Scaling",
    needs={Needs.SCORES, Needs.STEPS},
    roles=lambda given: {"embedder"} if given["embedder"] else (),
)
async def ets(
    run: Run,
    problem: Problem,
    width: int = 16,
    temperature: float = 0.2,
    cost: float = 1.0,
    coverage: float = 1.5,
    distance: float = 0.05,
    embedder: bool = False,
    rule: str = "weighted",
) -> Selection:
    """Share `width` next steps among the leaves worth their cache: `cost` of tree nodes, `coverage` of clusters of steps."""
    if width < 1 or temperature <= 0 or not all(0 <= each <= LARGEST for each in (cost, coverage, distance)):
        allowed = f"width must be 1 or more, temperature above 0; cost, coverage and distance from 0 to {LARGEST:,}"
        raise BadInput(allowed, where="ets")
    tree_selection.installed()
    next_up, ended, chosen = [ROOT] * width, list[Trace](), await choose(run, problem, [], rule)
    while next_up:
        alive, done = parted(await rate(run, problem, arrived(await grow(run, problem, next_up))))
        if done:
            ended += done
            chosen = await choose(run, problem, ended, rule)
        left = width - len(ended)
        if not alive or left < 1:
            break
        scores = [trace.score for trace in alive]
        shares = [count / left for count in rebase(scores, left, temperature)]
        texts = [trace.steps[-1].text for trace in alive]
        clusters = [0] * len(alive)
        if coverage and len(set(texts)) > 1:
            vectors = await run.invoke("embedder", "embed", texts=texts) if embedder else tree_selection.trigrams(texts)
            clusters = tree_selection.grouped(vectors, distance)
        seconds = math.inf if run.left.seconds is None else max(0.0, run.left.seconds / 4)
        keep = tree_selection.kept(shares, alive, clusters, cost, coverage, min(tree_selection.SECONDS, seconds))
        counts = rebase([scores[at] for at in keep], left, temperature)
        next_up = [alive[at] for at, count in zip(keep, counts, strict=True) for _ in range(count)]
    return chosen
