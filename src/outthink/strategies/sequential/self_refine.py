"""Self-refine: the model reviews its own answer and writes it again, a few times.

Paper: "Self-Refine: Iterative Refinement with Self-Feedback", arXiv:2303.17651 (at most 4 iterations).
Differs from the official code: prompts are one general set without examples instead of one set per task; a draft without a valid
answer is never chosen. Without scores the last draft wins and at most 1 + 2T calls are made; with `scored` each draft, the last
included, is rated (2 + 2T calls) and the best one wins, the earliest of equals.
"""

from __future__ import annotations

from dataclasses import replace

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import prompts


@strategy(
    "self_refine",
    paper="arXiv:2303.17651",
    title="Self-Refine: Iterative Refinement with Self-Feedback",
    needs={Needs.CHAT},
)
async def self_refine(
    run: Run, problem: Problem, iterations: int = 4, stop: str = "it is correct", scored: bool = False, enough: float = 1.0
) -> Selection:
    """Answer, ask for feedback, refine; until the feedback says `stop` (scored: rates the answer `enough`, from 0 to 1)."""
    if iterations < 0 or not stop or not 0 <= enough <= 1:
        raise BadInput("iterations must be 0 or more, stop not empty, and enough in [0, 1]", where="self_refine")
    chosen, best = Selection(None), -1.0
    prompt = run.prompt(problem)
    talk = prompts.conversation(prompt)
    for iteration in range(iterations + 1):
        draft = (await run.generate(prompt))[0]
        answer = (await run.answers(problem, [draft]))[0]
        found = Selection(answer.text, answer.answer_class, sample=draft)
        if answer.valid and (not scored or chosen.answer is None):
            run.offer(chosen := found)
        if iteration == iterations and not scored:
            break
        talk = prompts.answered(talk, draft.whole, prompts.SCORED if scored else prompts.FEEDBACK)
        feedback = (await run.generate(talk, stop=()))[0].whole
        rating = prompts.score(feedback) if scored else None
        if answer.valid and rating is not None and rating > best:
            best = rating
            run.offer(chosen := replace(found, confidence=rating))
        if iteration == iterations or (best >= enough if scored else stop.casefold() in feedback.casefold()):
            break
        prompt = talk = prompts.answered(talk, feedback, prompts.REFINE)
    return chosen
