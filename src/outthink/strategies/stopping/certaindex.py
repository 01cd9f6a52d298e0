"""Certaindex: ask a sample on its way what its answer would be, and stop once it keeps saying the same.

Paper: "Efficiently Scaling LLM Reasoning with Certaindex", arXiv:2412.20993 (Dynasor). Every so many tokens the text so far
is continued with a probe; when the last few probes agree, and none of them hesitates, their answer is taken. level sets both
numbers: mild (8 probes, every 64 tokens), low (5, 64), mid (3, 64), high (2, 64), crazy (2, 32); every and agree set them
singly.
Differs from the official code: answers agree by class; a hesitation is a whole word ("no" isn't in "know"; compat=True looks
for pieces of words, as the code does); the code's other test of agreement lets everything pass and is not ours. It stops and
continues, so a server without a prefix cache reads the text again at each step, and every piece and probe counts as a sample.
"""

from __future__ import annotations

from dataclasses import replace

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import probing
from outthink.parts.voting import growing


@strategy(
    "certaindex",
    paper="arXiv:2412.20993",
    title="Efficiently Scaling LLM Reasoning with Certaindex",
    needs={Needs.PREFIX},
)
async def certaindex(
    run: Run,
    problem: Problem,
    level: str = "mid",
    every: int | None = None,
    agree: int | None = None,
    tokens: int = 8192,
    compat: bool = False,
) -> Selection:
    """The answer of one sample, as soon as probes of it agree."""
    if level not in probing.LEVELS:
        raise UnknownName("level of certaindex", level, probing.LEVELS)
    agree = probing.LEVELS[level].agree if agree is None else agree
    every = probing.LEVELS[level].every if every is None else every
    if min(agree, every, tokens) < 1:
        raise BadInput("every, agree and tokens must be 1 or more", where="certaindex")
    start, said, told = run.prompt(problem), 0, probing.Certainty(agree, compat)
    prompt, guess = start, Selection(None)
    while said < tokens:
        piece = await run.generate(prompt, max_tokens=min(every, tokens - said))
        said += piece[0].tokens or every
        if piece[0].finish is not Finish.LENGTH:
            [whole] = growing(piece, await run.answers(problem, piece))
            run.offer(whole)
            return whole
        prompt = replace(start, prefix=piece[0].whole)
        probe = await run.generate(prompt.continued(probing.PROBE), max_tokens=probing.TOKENS)
        [answer] = await run.answers(problem, probe)
        certain = told.heard(answer, probe[0].text)
        [guess] = growing(probe, [answer])
        run.offer(guess)
        if certain:
            return guess
    return guess
