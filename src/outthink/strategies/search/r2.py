"""R2: tree search in which worked examples stand before the problem, and similar situations before every expansion.

Paper: "Enhancing Test-Time Scaling of Large Language Models with Hierarchical Retrieval-Augmented MCTS" (R2-LLMs),
arXiv:2507.05557. Without examples and hints it is `mcts`, call for call; it too maximises the verifier's score and
targets no distribution.
The paper's code is not public: numbers of examples and hints, and the wording, are ours. The role "retriever" gives both;
`outthink.retrieval.bank.Bank` is one that searches by words and never gives out the problem that is asked.
"""

from __future__ import annotations

import math

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.hinting import hinted, template
from outthink.parts.traces import Trace
from outthink.parts.tree_search import begun, tree_search, unhinted


@strategy(
    "r2",
    paper="arXiv:2507.05557",
    title="Enhancing Test-Time Scaling of Large Language Models with Hierarchical Retrieval-Augmented MCTS",
    needs={Needs.SCORES, Needs.STEPS},
    roles=lambda given: {"retriever": (), **({"generator": {Needs.CHAT}} if given["examples"] else {})},
)
async def r2(
    run: Run,
    problem: Problem,
    simulations: int = 32,
    branching: int = 4,
    exploration: float = math.sqrt(2),
    examples: int = 2,
    hints: int = 2,
    rollout: bool = False,
    rule: str = "weighted",
) -> Selection:
    """UCT with so many worked `examples` for the whole search and `hints` at each expansion."""
    if min(examples, hints) < 0:
        raise BadInput("examples and hints must be 0 or more", where="r2")
    await begun(run, problem, simulations, branching, exploration, rule)  # before anything is retrieved
    worked = []
    if examples:
        kind = (await run.generate(template(problem.text), stop=()))[0].whole
        worked = await run.invoke("retriever", "examples", problem=problem.text, query=kind, count=examples)

    async def start(trace: Trace) -> Prompt:
        near = await run.invoke("retriever", "next_steps", problem=problem.text, text=trace.text, count=hints) if hints else []
        return hinted(run.prompt(problem), worked, near)

    return await tree_search(
        run,
        problem,
        simulations=simulations,
        branching=branching,
        exploration=exploration,
        rollout=rollout,
        rule=rule,
        hints=start if examples or hints else unhinted,
    )
