"""SAFFRON: beam search over tokens, guided by a multifurcation reward model that scores every possible next token in one call.

Paper: "Saffron-1: Towards an Inference Scaling Paradigm for LLM Safety Assurance", arXiv:2506.06444. It maximises the reward of
the whole text; an ordinary process verifier would need a call per candidate token.
The role "mrm" is a model whose logits are rewards of texts that end in each token. Servers give them as log-probabilities,
which lack a constant: it comes from `reference`, a token whose reward is always 0. It must be among the `rewarded` best that a
server names, so train the model so that nothing is worth more (`train/tiny/multifurcation.py` makes `tiny-rewards`). Candidates
that are not among the tokens it names have no reward: they are never taken while another one is there (conservative
exploration: a reward model must give what it never saw in training less than anything else).
Differs from the official code: a beam is ranked by the reward of its last token, ended or not. `compat` gives ended ones the
width first, and open ones no reward of their own, as that code does.
Needs a backend that names its alternatives; over a chat endpoint that doesn't, use a process verifier with `beam_search`.
A step is one token, and both models are sent the whole beginning again for each. Measured on the tiny reasoner, 200 Countdown
problems: width 1, 4 and 16 solve 53.5, 68.0 and 74.5% for 1,566, 6,095 and 20,029 tokens, 64 no more; best-of-16 by the same
rewards solves 74.8% for a fifteenth of width 16, and writes fewer tokens too (480, not 671). So it scales and doesn't pay here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.next_tokens import nucleus, rewards
from outthink.parts.traces import ROOT, Trace, choose

ENDS = ("", "</s>", "<eos>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>")
"""How servers write the token that ends an answer."""


@strategy(
    "saffron",
    paper="arXiv:2506.06444",
    title="Saffron-1: Towards an Inference Scaling Paradigm for LLM Safety Assurance",
    needs={Needs.TOP_LOGPROBS, Needs.STEPS},
    roles=lambda given: {"generator": {LogprobNeed(given["top"])}, "mrm": {LogprobNeed(given["rewarded"]), Needs.PREFIX}},
)
async def saffron(
    run: Run,
    problem: Problem,
    width: int = 4,
    top_p: float = 0.8,
    least: int = 0,
    most: int = 64,
    top: int = 20,
    rewarded: int = 20,
    reference: str = "<unk>",
    ends: tuple[str, ...] = ENDS,
    compat: bool = False,
) -> Selection:
    """Keep the `width` best-rewarded texts, token by token, inside the policy's nucleus; `least` to `most` tokens long."""
    if min(width, most, top, rewarded) < 1 or not 0 < top_p <= 1 or not 0 <= least <= most:
        raise BadInput("width, most, top and rewarded must be 1 or more, top_p in (0, 1], least from 0 to most", where="saffron")
    beams, start, chosen = [ROOT], run.prompt(problem), Selection(None)
    for position in range(most):
        alive = [beam for beam in beams if beam.ended is None]
        if not alive:
            break
        prompts = [start.continued(beam.text) for beam in alive]
        one: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "stop": ()}
        # The reward model first: one that is none is then refused after its first reply, before the generator has any.
        scored = await run.generate(prompts, role="mrm", logprobs=LogprobNeed(rewarded, first=True), **one)
        scores = {sample.key.index: rewards(sample, reference) for sample in scored}
        likely = await run.generate(prompts, logprobs=LogprobNeed(top, first=True), **one)
        grown = list[Trace]()
        for sample in likely:
            known, beam = scores.get(sample.key.index, {}), alive[sample.key.index]
            for token in nucleus(sample, top_p, ends if position < least else ()):
                text, ended = ("", Finish.EOS) if token in ends else (token, None)
                step = replace(sample, text=text, finish=ended or Finish.LENGTH)
                grown.append(Trace((*beam.steps, step), (*beam.scores, known.get(token)), ended))
        done = [beam for beam in beams if beam.ended is not None]
        beams = _widest(done, grown, width, compat)
        if any(beam.ended is not None for beam in beams):
            chosen = await choose(run, problem, beams)
    if chosen.answer is None and beams:  # nothing ended in time: the best text is the answer
        chosen = await choose(run, problem, [replace(beams[0], ended=Finish.LENGTH)])
    return chosen


def _widest(done: Sequence[Trace], grown: Sequence[Trace], width: int, compat: bool) -> list[Trace]:
    """The best `width`; of equals who ended first, then the earlier beam and the likelier token."""
    if not compat:
        return sorted((*done, *grown), key=lambda beam: -beam.rank)[:width]
    best = sorted(grown, key=lambda beam: -beam.rank)[:width]
    return sorted((*done, *best), key=lambda beam: -beam.rank if beam.ended is not None else math.inf)[:width]
