"""The fake server keeps what it promises: known accuracy, the wire format, limits, true accounts."""

from __future__ import annotations

import asyncio
import json
import math
from random import Random
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.testing.fake_server import FakeServerProcess, FakeSettings, HashWorld
from outthink.testing.fake_server.__main__ import parse
from tests.testing.fake_client import CASE, serving, until


def test_world_answers_rightly_as_often_as_it_says() -> None:
    world = HashWorld(3)
    for text, gold in world.problems(6):
        draws = Random(text)
        share = sum(f"{{{gold}}}" in world(text, "", draws.getrandbits(63)).text for _ in range(4000)) / 4000
        assert share == pytest.approx(world.success(text), abs=0.035)


def test_world_knows_a_problem_inside_any_prompt() -> None:
    world = HashWorld()
    text, gold = world.problems(9)[8]
    assert world.gold(f"Shots: Case 1: 5.\n\n{text}\nAnswer in a box.") == gold


@given(st.integers(0, 2**63 - 1), st.integers(0, 400))
def test_continuing_a_text_with_its_own_draw_gives_its_rest(draw: int, cut: int) -> None:
    world = HashWorld()
    whole = world(CASE, "", draw).text
    assert whole[:cut] + world(CASE, whole[:cut], draw).text == whole
    if cut > 30:
        assert whole[:cut] + world(f"{CASE}\n{whole[:cut]}", None, draw).text == whole


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 400))
def test_continuing_with_another_draw_still_ends_in_one_answer(draw: int, other: int, cut: int) -> None:
    world = HashWorld()
    prefix = world(CASE, "", draw).text[:cut]
    whole = prefix + world(CASE, prefix, other).text
    assert whole.count("The answer is \\boxed{") == 1
    assert whole.endswith("}.")


async def test_seeds_repeat_and_their_absence_does_not() -> None:
    async with serving() as client:
        same = {await client.text(seed=7, temperature=0.7) for _ in range(3)}
        fresh = {await client.text(temperature=0.7) for _ in range(8)}
        greedy = {await client.text(temperature=0, seed=seed) for seed in range(3)}
        changed = await client.text(seed=7, temperature=0.8)
    assert len(same) == len(greedy) == 1
    assert len(fresh) == 8
    assert changed not in same


async def test_n_choices_differ_and_share_one_prompt() -> None:
    async with serving() as client:
        reply = await client.ask(n=4, seed=1)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    assert len({choice["message"]["content"] for choice in reply["choices"]}) == 4
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]


async def test_limits_and_stops_end_a_text() -> None:
    async with serving() as client:
        whole = await client.text(seed=1)
        short = await client.ask(seed=1, max_tokens=5)
        stopped = await client.ask(seed=1, stop=["Step 2", "never"])
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 5
    assert whole.startswith(short["choices"][0]["message"]["content"])
    assert stopped["choices"][0]["message"]["content"] == whole[: whole.index("Step 2")]
    assert stopped["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("n", [1, 3])
async def test_a_stream_says_what_the_whole_reply_says(n: int) -> None:
    body = {"n": n, "seed": 5, "max_tokens": 20, "logprobs": True, "top_logprobs": 2}
    async with serving() as client:
        whole = await client.ask(**body)
        events = await client.events(stream_options={"include_usage": True}, **body)
        bare = await client.events(**body)
    assert events[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] == 20 * n
    assert not any("usage" in event for event in bare)
    for choice in whole["choices"]:
        pieces = [e["choices"][0] for e in bare if e["choices"][0]["index"] == choice["index"]]
        assert "".join(p["delta"].get("content", "") for p in pieces) == choice["message"]["content"]
        assert pieces[-1]["finish_reason"] == "length"
        assert [p["logprobs"]["content"][0] for p in pieces[:-1]] == choice["logprobs"]["content"]


async def test_logprobs_are_probabilities_in_both_formats() -> None:
    async with serving() as client:
        chat = (await client.ask(logprobs=True, top_logprobs=5, seed=1))["choices"][0]
        raw = (await client.ask("completions", prompt=CASE, logprobs=5, max_tokens=9, echo=True))["choices"][0]
    for token in chat["logprobs"]["content"]:
        assert sum(math.exp(other["logprob"]) for other in token["top_logprobs"]) <= 1
        assert len(token["top_logprobs"]) == 5
    assert "".join(token["token"] for token in chat["logprobs"]["content"]) == chat["message"]["content"]
    columns = raw["logprobs"]
    assert "".join(columns["tokens"]) == raw["text"]
    assert all(raw["text"].startswith(t, at) for at, t in zip(columns["text_offset"], columns["tokens"], strict=True))
    assert columns["token_logprobs"][0] is None
    assert all(value < 0 for value in columns["token_logprobs"][1:])


async def test_shared_prefixes_are_cached_and_reasoning_is_counted() -> None:
    shared = "a long story told in every prompt " * 10
    async with serving(reasoning=7) as client:
        used = [(await client.ask("completions", prompt=shared + end, max_tokens=20))["usage"] for end in ("one", "two")]
    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in used] == [0, 64]
    assert used[0]["completion_tokens_details"] == {"reasoning_tokens": 7}
    assert used[0]["completion_tokens"] == 20


OPEN_TURN = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize(("kind", "fields"), [("vllm", OPEN_TURN), ("llamacpp", {})])
async def test_an_open_assistant_turn_is_continued_where_switched_on(kind: str, fields: dict[str, Any]) -> None:
    async with serving(continuation=kind) as client:
        whole = await client.text(seed=2)
        messages = [{"role": "user", "content": CASE}, {"role": "assistant", "content": whole[:60]}]
        rest = await client.text(messages=messages, seed=2, **fields)
    assert whole.startswith(whole[:60] + rest[:10])
    async with serving(continuation="none") as client:
        assert (await client.text(messages=messages, seed=2, **fields)).startswith("Let us")


async def test_guides_are_obeyed_or_ignored() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}, "sure": {"enum": ["yes", "no"]}}}
    format_ = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
    async with serving() as client:
        answer = json.loads(await client.text(response_format=format_))
        digits = await client.text(guided_regex="[0-9]{3}-(a|b)+x?")
    assert isinstance(answer["answer"], int)
    assert answer["sure"] == "yes"
    assert digits[3] == "-"
    assert digits[:3].isdigit()
    async with serving(guided=False) as client:
        assert (await client.text(guided_regex="[0-9]")).startswith("Let us")


async def test_bad_requests_are_refused_with_words() -> None:
    refused = [
        (400, {"messages": []}),
        (400, {"n": 1000}),
        (400, {"max_tokens": 10**6}),
        (404, {"model": "other"}),
        (400, {"logprobs": True, "top_logprobs": 99}),
    ]
    async with serving(api_key="key") as client, client.post() as reply:
        assert reply.status == 401
    async with serving() as client:
        for status, body in refused:
            async with client.post(**body) as reply:
                assert reply.status == status
                assert (await reply.json())["error"]["message"]
        assert client.server.accounts.generated_tokens == 0
        assert client.server.accounts.outcomes == {"refused": len(refused)}


async def test_slots_queue_or_refuse() -> None:
    async with serving(slots=3, latency=0.02) as client:
        await asyncio.gather(*(client.ask(seed=at) for at in range(20)))
        assert client.server.accounts.max_generating == 3
        assert client.server.accounts.max_in_flight > 3
    async with serving(slots=1, latency=5, overflow="refuse", retry_after=2) as client:
        first = asyncio.ensure_future(client.ask())
        await until(lambda: client.server.accounts.generating)
        async with client.post() as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
        first.cancel()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_slot(stream: bool) -> None:
    async with serving(slots=1, per_token=0.05) as client:
        accounts = client.server.accounts
        leaving = asyncio.ensure_future(client.ask(stream=stream, seed=1))
        await until(lambda: accounts.generating)
        waiting = asyncio.ensure_future(client.ask(max_tokens=1))
        await until(lambda: accounts.in_flight == 2)
        leaving.cancel()
        await waiting
        assert accounts.cancelled == 1
        assert accounts.ledger[0].generated < 30
        assert accounts.in_flight == accounts.generating == 0


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(BadInput, match="knows no fault 'hangs'"):
        FakeSettings(faults={"hangs": 1})
    with pytest.raises(BadInput, match="between 0 and 1"):
        FakeSettings(faults={"hang": 10})


def test_the_command_line_sets_every_field() -> None:
    flags = ["--port", "9", "--latency", "0.5", "--fault", "hang=0.1", "--no-guided", "--settings", '{"slots": 3}']
    port, settings = parse(flags)
    assert port == 9
    assert settings == FakeSettings(latency=0.5, faults={"hang": 0.1}, guided=False, slots=3)


async def test_it_runs_as_a_process_and_is_reached_by_name() -> None:
    with FakeServerProcess(FakeSettings(model="tiny")) as server:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server.url_by_name}/models") as reply:
                assert (await reply.json())["data"][0]["id"] == "tiny"
            async with session.post(f"{server.url_by_name}/completions", json={"prompt": CASE}) as reply:
                assert (await reply.json())["usage"]["completion_tokens"] == 16
        metrics, entries = await asyncio.to_thread(lambda: (server.metrics(), server.entries()))
    assert (metrics["requests"], metrics["delivered_tokens"]) == (1, 16)
    assert entries[0]["outcome"] == "done"
