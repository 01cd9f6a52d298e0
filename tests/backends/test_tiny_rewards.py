"""The multifurcation reward model that ships: its rewards on held-out problems, and SAFFRON by it, end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("xllamacpp", reason="the tiny models need the extra `embedded`")

from outthink.backends.weights import SHIPPED, model_file
from outthink.core.backend import Backend, Request
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed
from outthink.core.sample import Sample
from outthink.core.sampling import Sampling
from outthink.models import backend_of
from outthink.parts.next_tokens import rewards
from outthink.session import Session
from outthink.tasks import countdown, load
from train.tiny.token_labels import alive
from train.tiny.vocabulary import END, NEWLINE, TOKENS, encode

PROBLEMS = countdown.problems(24, seed=2)
TASK = load("countdown")


@pytest.fixture
async def model() -> AsyncIterator[Backend]:
    backend = backend_of("tiny-rewards")
    await backend.open()
    yield backend
    await backend.close()


async def told(model: Backend, problem: countdown.Problem, beginning: str, top: int = 20) -> dict[str, float]:
    """Rewards of the next tokens, as SAFFRON reads them."""
    prompt, need = TASK.prompt(problem).continued(beginning), LogprobNeed(top, first=True)
    piece = (await model.complete(Request(prompt, Sampling(max_tokens=1, temperature=0), [0], logprobs=need))).pieces[0]
    return rewards(Sample(Key("test", ()), "", piece.finish, meta=piece.meta), "<unk>")


async def test_rewards_tell_tokens_that_lead_on_from_those_that_do_not(model: Backend) -> None:
    policy = backend_of("tiny")
    await policy.open()
    try:
        asked = [Request(TASK.prompt(p), Sampling(max_tokens=40), [seed]) for p in PROBLEMS for seed in (1, 2)]
        texts = [reply.pieces[0].text for reply in await asyncio.gather(*map(policy.complete, asked))]
    finally:
        await policy.close()
    found: list[tuple[bool, int]] = []
    waiting = []
    for problem, text in zip((p for p in PROBLEMS for _ in range(2)), texts, strict=True):
        ids, beginning = [*encode(text), END], ""
        for token, label in zip(ids, alive(*countdown.read(problem), ids), strict=True):
            found.append((label, token))
            waiting.append(told(model, problem, beginning))
            beginning += TOKENS[token]
    words = ["" if token == END else TOKENS[token] for _, token in found]
    scores = [known.get(word, -2.0) for known, word in zip(await asyncio.gather(*waiting), words, strict=True)]
    for kept, least in ((lambda token: True, 0.75), (lambda token: token == NEWLINE, 0.75), (lambda token: token == END, 0.8)):
        good, bad = ([s for s, (label, t) in zip(scores, found, strict=True) if label is x and kept(t)] for x in (True, False))
        assert len(good) > 5 < len(bad)
        above = sum((better > worse) + (better == worse) / 2 for better in good for worse in bad)
        assert above / (len(good) * len(bad)) > least


async def test_what_was_never_seen_is_worth_less_than_what_cannot_become_right(model: Backend) -> None:
    for problem in PROBLEMS[:8]:
        known = await told(model, problem, "", top=400)
        numbers = {str(number) for number in countdown.read(problem)[0]}
        assert max(known[number] for number in numbers) > -0.5
        assert max(known[word] for word in ("make ", "search ", "good", "bad", "answer ", "\ufffd")) < -1.5


async def test_saffron_solves_held_out_problems_with_it() -> None:
    async with Session("tiny", task="countdown", roles={"mrm": "tiny-rewards"}) as session:
        results = await asyncio.gather(*(session.solve(problem, "saffron") for problem in PROBLEMS))
        right = [(await session.task.grade(p, [found.answer]))[0] for p, found in zip(PROBLEMS, results, strict=True)]
    assert sum(right) >= len(PROBLEMS) * 0.6
    for found in results:
        assert found.stop == "finished"
        assert found.usage.completion_tokens == found.usage.calls, "one token a call"


def test_the_models_that_ship_stay_small() -> None:
    assert sum(model_file(name).stat().st_size for name in SHIPPED) < 8_000_000
