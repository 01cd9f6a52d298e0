"""DeepPrune: begin many samples, see which will end in the same answer, and finish a few of the largest group only.

Paper: "DeepPrune: Parallel Scaling without Inter-trace Redundancy", arXiv:2510.08483 (512 samples, cut at 500 tokens,
threshold 0.5). judge: "edit", "overlap" or "logprob" likeness, or "model": the role "judge" is asked about each pair.
Differs from the paper: its judge is a model fine-tuned for this on labelled pairs, which no likeness here comes near, so
calibrate the threshold on recorded samples of your own model; samples that ended before the cut are compared by their
answers, and vote for free; an item is compared with the first `compare` members of a cluster, where the paper draws them;
diverse=True is its other mode: one sample per cluster is finished, and all answers are handed in.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.task import Answer
from outthink.parts.anytime import drawn_to_score
from outthink.parts.clustering import Clusters
from outthink.parts.gating import handed_in
from outthink.parts.similarity import SIMILARITIES, same_chance, same_question
from outthink.parts.voting import growing


@strategy(
    "deepprune",
    paper="arXiv:2510.08483",
    title="DeepPrune: Parallel Scaling without Inter-trace Redundancy",
    needs={Needs.PREFIX},
    roles=lambda given: {"model": {"judge": {Needs.CHAT}}, "logprob": {"generator": {Needs.LOGPROBS}}}.get(given["judge"], ()),
    curve=False,
)
async def deepprune(
    run: Run,
    problem: Problem,
    n: int | None = None,
    judge: str = "edit",
    truncate: int = 500,
    threshold: float = 0.5,
    vote: int = 10,
    compare: int = 10,
    clusters: int = 32,
    diverse: bool = False,
    quorum: int = 1,
) -> Selection:
    """The vote of a few samples of the largest group among n beginnings."""
    if judge not in (*SIMILARITIES, "model"):
        raise UnknownName("judge of deepprune", judge, (*SIMILARITIES, "model"))
    if min(truncate, vote, compare, clusters) < 1:
        raise BadInput("truncate, vote, compare and clusters must be 1 or more", where="deepprune")
    need = LogprobNeed() if judge == "logprob" else None
    # The other half of a budget is for judging and finishing.
    begun = await drawn_to_score(run, problem, n, judged=True, quorum=quorum, logprobs=need, max_tokens=truncate)
    ended = {at: sample for at, sample in enumerate(begun) if sample.finish is not Finish.LENGTH}
    known = dict(zip(ended, await run.answers(problem, list(ended.values())), strict=True))
    if ended:
        *_, early = growing(list(ended.values()), list(known.values()))
        run.offer(early)

    async def alike(item: int, others: list[list[int]]) -> list[list[float]]:
        asked = [other for group in others for other in group if item not in known or other not in known]
        if judge != "model":
            found = {other: SIMILARITIES[judge](begun[item], begun[other]) for other in asked}
        elif asked:
            pairs = [same_question(problem.text, begun[item], begun[other]) for other in asked]
            replies = await run.generate(pairs, role="judge", quorum=0, temperature=0.0, max_tokens=1, stop=())
            found = {asked[reply.key.index]: same_chance(reply) for reply in replies}
        else:
            found = {}
        equal = {other: float(known[item].answer_class == known[other].answer_class) for other in known} if item in known else {}
        return [[equal[other] if other in equal else found.get(other, 0.0) for other in group] for group in others]

    groups = Clusters(threshold, compare, clusters)
    for item in range(len(begun)):
        if item not in known or known[item].valid:
            groups.place(item, await alike(item, groups.compared()))
    chosen = [members[0] for members in groups.members] if diverse else groups.largest()
    rest = [item for item in chosen if item not in known][: len(chosen) if diverse else vote]
    voters: list[Sample] = [begun[item] for item in chosen if item in known]
    answers: list[Answer] = [known[item] for item in chosen if item in known]
    if rest:
        finished = await run.extend(problem, [begun[item] for item in rest])
        voters += finished
        answers += await run.answers(problem, finished)
    *_, found = (Selection(None), *growing(voters, answers))
    selection = handed_in(found, found, len(found.votes)) if diverse else found
    run.offer(selection)
    return selection
