"""DeepConf, online: leave a sample as soon as the model is less sure in it than in most samples of a warm-up.

Paper: "Deep Think with Confidence", arXiv:2508.15260. `warmup` whole samples set the threshold: their least sure groups, at the
percentile that keeps a share `keep` of them (0.1 "low", 0.9 "high"). Further samples are left once a full window falls below it;
samples below it don't vote, the others vote as heavily as their least sure group is. Sampling ends when the leader has a share of
`consensus` of the vote (0: never before n).
Differs from the official code (compat=True does as the code): it has no consensus, and returns the plain majority of the kept
samples. Confidences are not rounded. At most `width` further samples are under way, so that the consensus can save some.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.task import Answer
from outthink.parts.confidence import Unsure, grouped, quantile
from outthink.parts.drawing import HOPELESS_RUN, Draws
from outthink.parts.racing import Race
from outthink.parts.voting import Tally


@strategy(
    "deepconf_online",
    paper="arXiv:2508.15260",
    title="Deep Think with Confidence",
    needs={Needs.TOP_LOGPROBS, Needs.STREAM},
    races=True,
    curve=False,
)
async def deepconf_online(
    run: Run,
    problem: Problem,
    n: int | None = None,
    keep: float = 0.9,
    warmup: int = 16,
    consensus: float = 0.95,
    window: int = 2048,
    width: int = 16,
    top: int = 20,
    compat: bool = False,
    quorum: int = 1,
) -> Selection:
    """The vote of n samples, weighted by confidence, of which unsure ones are left half-way."""
    if not 0 < keep <= 1 or not 0 <= consensus <= 1 or min(warmup, window, width, top) < 1:
        raise BadInput(
            "keep must be in (0, 1], consensus in [0, 1]; warmup, window, width, top 1 or more", where="deepconf_online"
        )
    need = LogprobNeed(top=top, window=window)
    draws = Draws(run, problem, warmup if n is None else min(warmup, n), quorum, logprobs=need)
    await draws.more(warmup)
    sure = grouped(draws.samples, "least", "deepconf_online")
    known = [value for value, answer in zip(sure, draws.answers, strict=True) if value is not None and answer.valid]
    threshold = quantile(known, 1 - keep) if known else 0.0
    votes, arrived = Tally(), list(draws.samples)

    def hear(sample: Sample, answer: Answer, value: float | None) -> None:
        votes.add(sample, answer, None if value is None or value < threshold else 1 if compat else value)

    def agreed() -> bool:
        leading = votes.leading()
        return not compat and 0 < consensus <= (leading.confidence or 0.0) and len(arrived) >= quorum

    for sample, answer, value in zip(draws.samples, draws.answers, sure, strict=True):
        hear(sample, answer, value)
    race = Race(run, problem, rule=Unsure(window, threshold), logprobs=need)
    begun = draws.asked
    while not agreed():
        while len(race.under_way) < width and (n is None or begun < n):
            await race.start()
            begun += 1
        if not race.under_way or len(race.errors) >= HOPELESS_RUN:
            break
        if (ended := await race.ended()) is None:
            continue
        arrived.append(ended)
        if not ended.partial:
            [answer] = await run.answers(problem, [ended])
            hear(ended, answer, grouped([ended], "least", "deepconf_online")[0])
        if len(arrived) >= quorum:
            run.offer(votes.leading())
    await race.leave()
    if len(arrived) < quorum:
        raise QuorumNotMet(quorum, arrived, [*draws.reasons, *map(str, race.errors)])
    run.offer(votes.leading())
    return votes.selection()
