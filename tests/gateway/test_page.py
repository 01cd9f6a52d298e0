"""The gateway's page: who sees what, and that what is shown is what happened."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from outthink.report.page import HEADERS, STATIC
from tests.gateway.paged import KEYS, paged


async def test_each_key_sees_its_own_requests_and_an_operator_all(tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        await gateway.ask("alice")
        await gateway.ask("bob")
        await gateway.ask("alice", model="none")
        for who, seen in (("alice", ["alice"]), ("bob", ["bob"]), ("operator", ["bob", "alice"])):
            status, home = await gateway.get("data/home", who)
            assert status == 200
            assert [each["key"] for each in home["recent"]] == seen
            assert home["totals"]["requests"] == len(seen)
            assert home["owner"] == (None if who == "operator" else who)
            assert bool(home["upstreams"]) == (who == "operator")
        alice, bob = home["recent"][1], home["recent"][0]
        assert (alice["state"], alice["samples"], alice["tokens"], alice["strategy"]) == ("finished", 4, 60, "majority")
        assert alice["usd"] == pytest.approx(4 * (10 * 1.0 + 5 * 2.0) / 1e6)
        assert (alice["closed"], bob["closed"]) == (False, True)  # bob's are not recorded
        assert home["totals"]["refused"] == 1
        assert home["budgets"] == [{"name": "alice", "limits": [{"dimension": "tokens", "limit": 100_000, "spent": 60}]}]


async def test_a_recorded_request_is_shown_to_its_owner_only(tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        await gateway.ask("alice")
        name = (await gateway.get("data/home", "alice"))[1]["recent"][0]["name"]

        async def written() -> object:
            status, view = await gateway.get("data/run", "alice", run=name)
            return view if status == 200 else None

        view = await gateway.until(written)
        assert view["notes"] == []
        assert (view["state"], view["answer"], view["live"], view["name"]) == ("finished", "42", False, name)
        assert {each["text"]: each["weight"] for each in view["classes"]} == {"42": 3, "41": 1}
        assert view["problem"]["text"] == "What is 6 times 7?"
        assert (await gateway.get("data/run", "operator", run=name))[1]["answer"] == "42"
        status, text = await gateway.get("data/sample", "alice", run=name, sample=view["samples"][0]["id"])
        assert (status, text["text"]) == (200, view["samples"][0]["text"])
        for who, asked in (("bob", name), ("alice", "other"), ("alice", f"../{name}"), ("alice", "*"), ("alice", "")):
            assert (await gateway.get("data/run", who, run=asked))[0] == 404
        assert (await gateway.get("data/sample", "bob", run=name, sample="0#0"))[0] == 404
        assert (await gateway.get("data/sample", "alice", run=name, sample="9#9"))[0] == 404


async def test_a_conversation_and_plain_samples_can_be_told_too(tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        turns = [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "6 * 7?"},
        ]
        await gateway.ask("alice", messages=turns)
        await gateway.ask("alice", n=3, outthink={"strategy": "single"})
        for name in [each["name"] for each in (await gateway.get("data/home", "alice"))[1]["recent"]]:

            async def written(name: str = name) -> object:
                status, view = await gateway.get("data/run", "alice", run=name)
                return view if status == 200 else None

            assert (await gateway.until(written))["notes"] == []


@pytest.mark.parametrize("path", ["data/home", "data/run", "data/sample"])
async def test_no_data_without_a_key(path: str, tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        for who in (None, "wrong"):
            status, error = await gateway.get(path, who, run="any")
            assert (status, error["error"]["code"]) == (401, "invalid_api_key")


async def test_its_files_hold_no_data_and_are_for_everyone(tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        await gateway.ask("alice")
        for name in ("", *STATIC):
            async with gateway.session.get(f"{gateway.url}/page/{name}") as response:
                assert response.status == 200
                assert HEADERS.items() <= dict(response.headers).items()
                assert "42" not in await response.text() or name.endswith((".js", ".css"))
        async with gateway.session.get(f"{gateway.url}/page", allow_redirects=False) as response:
            assert response.headers["Location"] == "/page/"
        for path in ("gateway.toml", "..%2f..%2fgateway.toml", "data", "data/other", "main.js/../../secrets"):
            assert (await gateway.get(path))[0] == 404


async def test_what_is_under_way_is_shown_while_it_goes_on(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with paged(tmp_path, gate=gate) as gateway:
        asked = asyncio.create_task(gateway.ask("alice", "A secret question?"))

        async def begun() -> object:
            home = (await gateway.get("data/home", "alice"))[1]
            return home if home["live"] else None

        home = await gateway.until(begun)
        (live,) = home["live"]
        assert (live["running"], live["state"], live["samples"]) == (True, None, 0)
        assert "secret" not in json.dumps(home)  # texts are in records only
        status, error = await gateway.get("data/run", "alice", run=live["name"])
        assert status == 200 or error["error"]["code"] == "not_recorded_yet"
        gate.set()
        await asked
        home = (await gateway.get("data/home", "alice"))[1]
        assert (home["live"], len(home["recent"])) == ([], 1)


async def test_no_secret_reaches_the_page(tmp_path: Path) -> None:
    async with paged(tmp_path) as gateway:
        await gateway.ask("alice")
        everything = json.dumps([await gateway.get("data/home", who) for who in KEYS])
        assert not any(key in everything for key in KEYS.values())
        assert "sha256" not in everything
