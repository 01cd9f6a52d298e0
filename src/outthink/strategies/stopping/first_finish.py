"""First Finish Search: start n samples, keep the answer of the first to finish, and leave the rest.

Paper: "First Finish Search: Efficient Test-Time Scaling in Large Language Models", arXiv:2505.18149 (n = 4). k > 1 lets the first
k finishers vote and last=True the k longest of all n, as in the follow-up "The Art of Scaling Test-Time Compute for Large
Language Models", arXiv:2512.02008 (n = 8): a control that saves nothing. What that paper calls beam search is, in its code, a
request with best_of=N, of whose samples a server gives the likeliest: here `best_of_n` with the verifier `mean-logprob`.
Differs from the official code: a sample without a valid answer, or cut at its length, is no finisher; of tied answers the one
that finished first wins, where the code's evaluation credits ties in part; left samples are charged with all they had
decoded, where the follow-up counts only samples that finished. Where short answers are the worse ones (most models on hard
problems) it loses to voting: compare `k` and `least_tokens`, below which an end doesn't count.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.task import Answer
from outthink.parts.racing import Race
from outthink.parts.voting import Tally


@strategy(
    "first_finish",
    paper="arXiv:2505.18149",
    title="First Finish Search: Efficient Test-Time Scaling in Large Language Models",
    needs={Needs.STREAM},
    races=True,
    curve=False,
)
async def first_finish(
    run: Run, problem: Problem, n: int | None = None, k: int = 1, last: bool = False, least_tokens: int = 0
) -> Selection:
    """The answer of the first of n samples to finish, or the vote of the first (or longest) k."""
    if k < 1 or least_tokens < 0:
        raise BadInput(f"k = {k} must be 1 or more and least_tokens = {least_tokens} 0 or more", where="first_finish")
    count = n or run.left.samples
    if count is None:
        raise BadInput("n=None begins all samples of a budget of samples, and there is none; give n", where="first_finish")
    race, votes = Race(run, problem), Tally()
    finishers: list[tuple[Sample, Answer]] = []
    await race.start(count)
    while (last or len(finishers) < k) and (sample := await race.ended()) is not None:
        [answer] = await run.answers(problem, [sample])
        if answer.valid and sample.finish is not Finish.LENGTH and (sample.tokens or 0) >= least_tokens:
            finishers.append((sample, answer))
            votes.add(sample, answer)
        run.offer(votes.leading())
    await race.leave()
    if last:
        votes = Tally()
        for sample, answer in sorted(finishers, key=lambda pair: (-(pair[0].tokens or 0), pair[0].key.seq))[:k]:
            votes.add(sample, answer)
    if not finishers and race.errors:
        raise race.errors[0]
    run.offer(votes.leading())
    return votes.selection()
