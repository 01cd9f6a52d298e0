"""Replaying: draws without replacement, true charges, and never anything that was not recorded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from outthink.backends.pool import PoolBackend, RecordedSample
from outthink.core.backend import Identity, Request
from outthink.core.errors import Lost, PoolMiss
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

PROMPT = Prompt.chat("2+2?")
HELD = [
    RecordedSample(
        i, f"text {i}", Finish.STOP, PROMPT.digest(), {"temperature": 0.7, "top_k": 0, "max_tokens": 99}, 10, 4, i + 1,
        {"mean_logprob": -float(i)}, float(i), i / 10,
    )
    for i in range(8)
]  # fmt: skip


def pool(samples: list[RecordedSample] | None = None, **how: Any) -> PoolBackend:
    held = HELD if samples is None else samples
    return PoolBackend("test", lambda problem: held if problem == "p" else (), **how)


def request(
    ordinal: int = 0, n: int = 1, run: str = "majority/p/0", problem: str = "p", prompt: Prompt = PROMPT, **how: Any
) -> Request:
    need = how.pop("logprobs", None)
    return Request(prompt, Sampling(**how), list(range(n)), need, identity=Identity(problem, ordinal, ordinal, run))


async def drawn(backend: PoolBackend, run: str, *sizes: int) -> list[str]:
    texts: list[str] = []
    for size in sizes:
        texts += [piece.text for piece in (await backend.complete(request(len(texts), size, run))).pieces]
    return texts


async def test_a_run_draws_every_sample_once_in_an_order_of_its_own() -> None:
    backend = pool(seed=1)
    whole = await drawn(backend, "majority/p/0", 8)
    assert Counter(whole) == Counter(sample.text for sample in HELD)
    assert await drawn(backend, "majority/p/0", 1, 3, 4) == whole, "however they are asked for"
    assert await drawn(backend, "best_of_n/p/0", 8) == whole, "strategies are compared on the same draws"
    orders = {tuple(await drawn(backend, f"majority/p/{replicate}", 8)) for replicate in range(20)}
    assert len(orders) == 20
    assert await drawn(pool(seed=2), "majority/p/0", 8) != whole


async def test_first_draws_are_fair() -> None:
    backend = pool()
    firsts = Counter([(await drawn(backend, f"r/{replicate}", 1))[0] for replicate in range(4000)])
    assert len(firsts) == 8
    assert all(abs(count - 500) < 5 * (500 * 7 / 8) ** 0.5 for count in firsts.values())


async def test_only_what_was_drawn_is_charged() -> None:
    completion = await pool().complete(request(n=3))
    indices = [int(str(piece.meta["sample_index"])) for piece in completion.pieces]
    assert completion.completion_tokens == sum(i + 1 for i in indices)
    assert (completion.prompt_tokens, completion.cached_tokens) == (30, 12)
    assert completion.seconds == max(indices) / 10
    assert [piece.summary["mean_logprob"] for piece in completion.pieces] == [-i for i in indices]
    assert [piece.meta["score"] for piece in completion.pieces] == indices


async def test_unknown_tokens_stay_unknown() -> None:
    completion = await pool([RecordedSample(0, "a")]).complete(request())
    assert (completion.prompt_tokens, completion.completion_tokens, completion.seconds) == (None, None, None)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (request(problem="q"), "no sample of problem 'q'"),
        (request(ordinal=6, n=3), "holds 8 samples of problem 'p' and run majority/p/0 asks for number 9"),
        (request(prompt=PROMPT.continued("so")), "continuation"),
        (request(prompt=Prompt.chat("3+3?")), "another prompt"),
        (request(temperature=1.0), "recorded with temperature=0.7 and asked with temperature=1"),
        (request(logprobs=LogprobNeed(keep=True)), "not the arrays"),
        (Request(PROMPT, Sampling(), [1]), "names neither"),
    ],
)
async def test_what_was_not_recorded_is_a_miss(asked: Request, says: str) -> None:
    with pytest.raises(PoolMiss, match=says):
        await pool().complete(asked)


async def test_a_sample_that_the_budget_cuts_is_spent_without_an_answer() -> None:
    (piece,) = (await pool([HELD[7]]).complete(request(max_tokens=3))).pieces
    assert (piece.text, piece.finish, piece.tokens, dict(piece.summary)) == ("", Finish.LENGTH, 3, {})


async def test_a_sample_that_was_cut_at_recording_is_not_extended() -> None:
    cut = RecordedSample(0, "a", Finish.LENGTH, sampling={"max_tokens": 99}, completion_tokens=99)
    assert (await pool([cut]).complete(request(max_tokens=99))).pieces[0].text == "a"
    with pytest.raises(PoolMiss, match="max_tokens=99"):
        await pool([cut]).complete(request(max_tokens=100))


async def test_a_recorded_failure_fails_again_once() -> None:
    with pytest.raises(Lost, match="the server hung up") as caught:
        await pool([RecordedSample(0, "", prompt_tokens=5, completion_tokens=2, failed="the server hung up")]).complete(request())
    assert not caught.value.retryable
    assert (caught.value.prompt_tokens, caught.value.completion_tokens) == (5, 2)
