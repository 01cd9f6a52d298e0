"""The tiny reasoner that ships: real inference in a second, so what strategies rest on is tested on a real model."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("xllamacpp", reason="the tiny models need the extra `embedded`")

from outthink.core.backend import Backend, Completion, Request
from outthink.core.errors import Permanent
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.models import backend_of
from outthink.tasks import countdown, load

PROBLEMS = countdown.problems(24, seed=2)
TASK = load("countdown")


@pytest.fixture
async def tiny() -> AsyncIterator[Backend]:
    backend = backend_of("tiny")
    await backend.open()
    yield backend
    await backend.close()


async def ask(
    backend: Backend, prompt: Prompt, *, seed: int = 1, need: LogprobNeed | None = None, **settings: object
) -> Completion:
    given = {"temperature": 1.0, "max_tokens": 64} | settings
    return await backend.complete(Request(prompt, Sampling().but(**given), [seed], logprobs=need))


async def test_more_samples_solve_more_held_out_problems(tiny: Backend) -> None:
    asked = [ask(tiny, TASK.prompt(problem), seed=seed) for problem in PROBLEMS for seed in range(16)]
    replies = await asyncio.gather(*asked)
    assert all(reply.pieces[0].finish is Finish.EOS for reply in replies[:32])
    right = []
    for place, problem in enumerate(PROBLEMS):
        texts = [reply.pieces[0].text for reply in replies[place * 16 : place * 16 + 16]]
        answers = await TASK.answers(problem, texts, [])
        right.append(await TASK.grade(problem, [answer.text for answer in answers]))
    first, any_of_16 = sum(row[0] for row in right), sum(map(any, right))
    assert first < any_of_16
    assert any_of_16 >= len(PROBLEMS) * 0.6


async def test_a_step_ends_at_its_newline_and_goes_on_from_there(tiny: Backend) -> None:
    prompt = TASK.prompt(countdown.Problem("make 59 from 5 6 13 25"))
    for _ in range(3):
        step = (await ask(tiny, prompt, stop=("\n",))).pieces[0]
        assert step.finish is Finish.STOP
        assert "\n" not in step.text
        prompt = prompt.continued(step.text + "\n")
    assert prompt.prefix.count("\n") == 3
    assert (await ask(tiny, prompt, temperature=0.0)).pieces[0].finish is Finish.EOS


async def test_it_counts_its_tokens_and_knows_no_chat(tiny: Backend) -> None:
    assert tiny.capabilities.vocabulary == 375
    assert not tiny.capabilities.chat
    assert tiny.prompt_bound(Prompt.raw("make 59 from 5 6 13 25\n")) == 12  # one token per word, number and sign; a beginning
    odd = await ask(tiny, Prompt.raw("¿Größe?\x07"), max_tokens=3)
    assert odd.prompt_tokens == 1 + len("¿Größe?\x07".encode())
    with pytest.raises(Permanent, match="no chat template"):
        await ask(tiny, Prompt.chat("make 59 from 5 6 13 25"))


@pytest.mark.parametrize("name", ["tiny-verifier", "tiny-verifier-rollouts"])
async def test_a_verifier_finds_right_answers_better_than_wrong_ones(name: str) -> None:
    verifier = backend_of(name)
    await verifier.open()
    try:
        scores = {}
        for answer in ("25/5=5,5 6 13\n13*5=65,6 65\n65-6=59\n", "25/5=5,5 6 13\n13*5=65,6 65\n65-7=58\n", "25-6=18,5 13 18\n"):
            prompt = Prompt.raw("make 59 from 5 6 13 25\n", prefix=answer)
            need = LogprobNeed(top=20, first=True)
            first = (await ask(verifier, prompt, need=need, temperature=0.0, max_tokens=1)).pieces[0].meta["first_token"]
            assert isinstance(first, dict)
            scores[answer] = math.exp(first["good"]) / (math.exp(first["good"]) + math.exp(first["bad"]))
        right, *wrong = scores.values()
        assert right > 0.5 > max(wrong)
    finally:
        await verifier.close()


async def test_the_search_model_writes_a_search_that_is_graded_by_its_answer() -> None:
    searcher, task = backend_of("tiny-search"), load("countdown_search")
    await searcher.open()
    try:
        replies = await asyncio.gather(*(ask(searcher, task.prompt(p), temperature=0.0, max_tokens=400) for p in PROBLEMS))
    finally:
        await searcher.close()
    right = 0
    for problem, reply in zip(PROBLEMS, replies, strict=True):
        answer = (await task.answers(problem, [reply.pieces[0].text], []))[0]
        right += (await task.grade(problem, [answer.text]))[0]
    assert right >= len(PROBLEMS) * 0.25
    assert any("back " in reply.pieces[0].text for reply in replies)


def test_a_model_may_be_closed_as_soon_as_it_is_open() -> None:
    """Its core once waited for ever for a worker that had not begun; in a process of its own, so that this can be seen."""
    many = (
        "from outthink.backends.llamacpp.engine import Engine; from outthink.backends.weights import model_file\n"
        "for _ in range(20): Engine(model_file('tiny'), slots=4, context=128, threads=1).close()"
    )
    subprocess.run([sys.executable, "-c", many], check=True)
