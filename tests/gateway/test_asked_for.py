"""What a request asks for is had, or refused before anything is paid for: tasks that can read the question, budgets that hold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.serving import Upstream, says, serving
from tests.gateway.test_streams import posted

MAKE = "make 10 from 2 5"
CAPITAL = "Which is the capital of France?\nA) London\nB) Paris"


def turns(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("task", "form"),
    [
        ("countdown", "write `make 59 from 5 6 13 25`"),
        ("countdown-search", "write `make 59 from 5 6 13 25`"),
        ("calc", "write `calc 37*4-18`"),
        ("choice", "a line each: `A) four`"),
    ],
)
async def test_a_task_that_cannot_read_the_question_is_refused_before_anything_is_paid_for(task: str, form: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"messages": turns("What is 2 + 2?"), "stream": True},
        "/v1/completions": {"prompt": "What is 2 + 2?"},
        "/v1/responses": {"input": "What is 2 + 2?"},
    }
    async with serving() as (upstream, base):
        for path, body in bodies.items():
            async with posted(base, path, **{"model": "up@majority:4", "outthink": {"task": task}, **body}) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"], error["param"]) == (400, "invalid_value", "outthink.task")
                assert form in error["message"]
        assert upstream.bodies == []


async def test_a_model_s_own_task_that_cannot_read_the_question_is_no_field_s_fault() -> None:
    async with serving(task="countdown") as (upstream, base):
        async with posted(base) as response:
            error = (await response.json())["error"]
            assert (response.status, error["param"]) == (400, None)
            assert "countdown can't read what is asked" in error["message"]
        assert upstream.bodies == []


async def test_questions_that_their_task_can_read_are_answered_by_it() -> None:
    texts = ["2+5=7", "2*5=10", "It is Paris.\nB", "**B**", "The answer is (A)."]
    async with serving(Upstream([says(text) for text in texts])) as (_, base):
        async with posted(base, model="up@majority:2", messages=turns(MAKE), outthink={"task": "countdown"}) as response:
            assert response.status == 200
        async with posted(base, model="up@majority:3", messages=turns(CAPITAL), outthink={"task": "choice"}) as response:
            assert (await response.json())["outthink"]["votes"] == {"B": 2, "A": 1}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"outthink": {"strategy": "majority:4", "budget": "2 samples"}}, 2),  # of two numbers in one place both hold
        ({"outthink": {"strategy": "majority", "n": 2, "budget": "4 samples"}}, 2),
        ({"outthink": {"strategy": "majority", "budget": "3 samples"}}, 3),
        ({"model": "up@majority:4", "outthink": {"budget": "2 samples"}}, 2),  # a more specific place changes the number
        ({"budget": 4, "outthink": {"budget": "2 calls"}}, 2),  # its_hub's number of samples, within a budget of ours
        ({"budget": 3, "outthink": {"n": 2}}, 2),
    ],
)
async def test_every_limit_that_is_named_holds(body: dict[str, Any], sent: int) -> None:
    async with serving(Upstream([says("x")])) as (upstream, base):
        async with posted(base, **body) as response:
            assert response.status == 200, await response.text()
        assert len(upstream.bodies) == sent
