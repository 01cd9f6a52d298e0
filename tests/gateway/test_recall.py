"""What a record is good for: every kind of request can be explained, and gone on with, without paying twice."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from outthink.cli.view import known, write
from outthink.core.errors import BadInput, JournalDamaged, JournalLocked, OutthinkError, UnknownName
from outthink.gateway.recall import read_record
from outthink.gateway.resuming import Resumed, resume
from outthink.gateway.writer import Writer, alive
from outthink.report.run_view import view
from outthink.runtime.recorded import read_header, read_rows
from tests.gateway.recorded import FORMS, KINDS, TOOLS, ask_all, recording
from tests.gateway.serving import Upstream, calls, says


async def seen(path: Path) -> dict[str, Any]:
    """What `outthink view` shows of a record."""
    return await asyncio.to_thread(lambda: view(path, known=known(path)))


async def test_every_kind_of_request_is_explained(tmp_path: Path) -> None:
    async with recording(tmp_path) as made:
        await ask_all(made)
    found = {name: await seen(made.record(name)) for name in KINDS}
    assert all(not each["notes"] and not each["texts"] for each in found.values())
    votes = {name: [(each["samples"], each["weight"]) for each in shown["classes"]] for name, shown in found.items()}
    assert votes["tools"] == votes["json"] + [(1, 1.0)] == [(2, 2.0), (1, 1.0)]
    assert votes["ranked"] == votes["text"] == votes["math"] == [(2, 2.0), (1, 1.0)]
    assert votes["turns"] == [(3, 3.0)]
    assert found["tools"]["classes"][0]["text"] == 'tool calls: {"arguments":{"city":"Oslo"},"name":"weather"}'
    assert '"tool_calls"' in found["tools"]["samples"][0]["message"]
    assert found["turns"]["problem"]["text"].endswith("User: The sum.")
    assert (found["choices"]["answer"], found["choices"]["samples_in_all"]) == ("one", 2)
    assert found["stream"]["answer"] == "one two three"
    assert (found["none"]["state"], found["none"]["reason"]) == ("finished", "no sample holds a valid answer")
    assert found["failed"]["state"] == "failed"
    assert "answered 401" in found["failed"]["reason"]
    await asyncio.to_thread(write, made.record("choices"), tmp_path / "page.html")
    assert "two" in (tmp_path / "page.html").read_text()


async def test_a_client_that_leaves_is_told_of(tmp_path: Path) -> None:
    async with recording(tmp_path, Upstream([says("a long answer")], step=5.0)) as made:
        task = asyncio.create_task(made.ask("left", model="up", stream=True))
        async with asyncio.timeout(30):
            while not made.upstream.bodies:  # noqa: ASYNC110  # the server is no part of the test
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(30):
            while not list(made.folder.rglob("*.db")):  # noqa: ASYNC110  # a thread writes it
                await asyncio.sleep(0.01)
        found = await seen(made.record("left"))
        assert (found["state"], found["answer"], found["notes"]) == ("cancelled", None, [])
        made.upstream.step = 0.0
        again = await resume(made.record("left"), model=made.url)
        assert [each.text for each in again.answers] == ["a long answer"]
        assert (await seen(made.record("left")))["state"] == "finished"


@pytest.mark.parametrize("texts", ["redact", "digest"])
async def test_what_was_redacted_is_shown_as_such_and_gone_on_with_by_nobody(texts: str, tmp_path: Path) -> None:
    async with recording(tmp_path, texts=texts, redact=("17",) if texts == "redact" else ()) as made:
        await ask_all(made, *FORMS)
        bodies = len(made.upstream.bodies)
        for name in FORMS:
            found = await seen(made.record(name))
            assert ("digests" if texts == "digest" else "[redacted]") in found["texts"]
            assert found["notes"] == []
            assert found["state"] == "finished"
            assert found["classes"] or name == "choices"
            with pytest.raises(BadInput, match=r"records\.texts.*can't be asked again"):
                await resume(made.record(name), model=made.url)
        assert len(made.upstream.bodies) == bodies


def said(reply: Any) -> list[tuple[Any, Any, str]]:
    """Text, calls and finish of each choice that a client got."""
    messages = [(choice["message"], choice["finish_reason"]) for choice in reply["choices"]]
    return [(message["content"], message.get("tool_calls") or [], finish) for message, finish in messages]


def again(found: Resumed) -> list[tuple[Any, Any, str]]:
    return [(each.text, each.calls, each.finish) for each in found.answers]


async def test_an_ended_request_gives_its_answer_again_for_nothing(tmp_path: Path) -> None:
    async with recording(tmp_path) as made:
        await ask_all(made, *FORMS)
        made.upstream.bodies.clear()
        for name in FORMS:
            found = await resume(made.record(name), model=made.url)
            if name == "stream":
                assert [each.text for each in found.answers] == ["one two three"]
            else:
                assert again(found) == said(made.replies[name])
        assert made.upstream.bodies == []


def held(record: Path) -> int:
    """Samples in it."""
    return sum(row.state == "ok" for _, row in read_rows(record))


class Holding(Upstream):
    """Answers so many requests; then they wait for ever, until it is told to go on."""

    free = 3

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.free == 0:
            self.bodies.append(await request.json())
            await asyncio.sleep(3600)
        self.free -= 1
        return await super().handle(request)


@pytest.mark.parametrize("name", ["text", "tools", "json", "turns", "choices", "ranked"])
async def test_a_killed_request_goes_on_and_pays_nothing_twice(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    async with recording(tmp_path, Holding(kind.script), seconds=0.01) as made:
        body = {**kind.body, "model": "up@majority:8"} if name != "choices" else {**kind.body, "n": 8}
        task = asyncio.create_task(made.ask(name, **body))
        killed = tmp_path / "other" / "2026-01-01" / "killed.db"  # as if its gateway lived no more
        killed.parent.mkdir(parents=True)
        async with asyncio.timeout(30):
            while len(made.upstream.bodies) < 8 or not killed.is_file() or held(killed) < 3:
                await asyncio.sleep(0.01)
                for path in made.folder.rglob("request-*.db"):
                    shutil.copy(path, killed)
        with pytest.raises(JournalLocked, match="is still answering"):
            await resume(made.record(name), model=made.url)
        asked = len(made.upstream.bodies)
        made.upstream.free, made.upstream.script = 1 << 30, kind.script
        found = await resume(killed, model=made.url)
        assert len(made.upstream.bodies) - asked == 8 - 3
        assert all(each == made.upstream.bodies[0] | {"seed": each["seed"]} for each in made.upstream.bodies if "seed" in each)
        assert (found.result.usage.samples, len(found.answers)) == (8, body.get("n", 1))
        assert (await seen(killed))["state"] == "finished"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_cannot_be_gone_on_with_says_why(tmp_path: Path) -> None:
    async with recording(tmp_path) as made:
        await ask_all(made, "text")
        path = made.record("text")
        with pytest.raises(
            BadInput, match=r"doesn't name the gateway's configuration; name it by --config, or a server by --model"
        ):
            await resume(path)
        with pytest.raises(BadInput, match="its generator was up so far and is now other; one request's samples are one model's"):
            await resume(path, model=made.url.replace("#up", "#other"))
        config = tmp_path / "gateway.toml"
        config.write_text('[models.other]\nupstreams = [{ url = "http://127.0.0.1:9/v1", model = "up" }]\n')
        with pytest.raises(UnknownName, match=r"no model in .* is called 'up'"):
            await resume(path, file=config)
        whole = path.read_bytes()
        for broken in ("model", "sampling", "strategy", "parameters", "budget", "seed", "roles", "public_model", "task"):
            for change in ("DELETE FROM header WHERE name = ?", "UPDATE header SET value = '[[1]]' WHERE name = ?"):
                path.write_bytes(whole)
                with closing(sqlite3.connect(path)) as db, db:
                    db.execute(change, (broken,))
                with pytest.raises(OutthinkError):
                    await resume(path, model=made.url)
        path.write_bytes(whole)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE header SET value = json_remove(value, '$.prompt') WHERE name = 'notes'")
        with pytest.raises(JournalDamaged, match="is no record of a gateway or is broken"):
            await resume(path, model=made.url)


async def test_a_record_holds_how_it_was_asked_and_no_key(tmp_path: Path) -> None:
    async with recording(tmp_path) as made:
        await made.ask("whole", tools=TOOLS, headers={"Authorization": "Bearer a-secret-key"}, seed=5, n=2)
    header = read_header(made.record("whole"))
    notes = header["notes"]
    assert (notes["command"], notes["form"]["tools"], notes["choices"], notes["stream"]) == ("serve", True, 2, False)
    assert notes["record"].endswith("/request-whole")
    assert b"a-secret-key" not in made.record("whole").read_bytes()
    kept = read_record(made.record("whole"))
    assert json.loads(kept.prompt.extra)["tools"] == TOOLS
    assert (kept.name, kept.run, header["seed"]) == ("up", "seeded", 5)


@pytest.mark.parametrize(("default", "asked", "header", "kept"), [
    (True, None, None, True), (True, False, None, False), (True, None, "no", False), (True, True, "no", True),
    (False, None, None, False), (False, True, None, True), (False, None, "true", True),
])  # fmt: skip
async def test_who_is_recorded(default: bool, asked: bool | None, header: str | None, kept: bool, tmp_path: Path) -> None:
    async with recording(tmp_path, default=default) as made:
        more: dict[str, Any] = {} if asked is None else {"outthink": {"record": asked}}
        headers = {} if header is None else {"X-Outthink-Record": header}
        assert await made.ask("one", headers, model="up", **more) == 200
        assert await made.ask("bad", {"X-Outthink-Record": "maybe"}, model="up") == 400
        assert "x-outthink-record is 'maybe'" in made.replies["bad"]["error"]["message"]
    assert len(list(made.folder.rglob("*.db"))) == kept


def test_a_living_writer_is_known_and_a_dead_one_is_cleared_away(tmp_path: Path) -> None:
    first = Writer(tmp_path)
    assert alive(tmp_path, first.name)
    (tmp_path / ".writer-of-the-dead.lock").touch()
    assert not alive(tmp_path, ".writer-of-the-dead.lock")
    second = Writer(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, second.name])
    first.close()
    second.close()
    assert not alive(tmp_path, first.name)
    assert not list(tmp_path.iterdir())


async def test_escaped_texts_and_pieces_of_a_match_are_redacted_too(tmp_path: Path) -> None:
    secret, arguments = r"Jane\s+Doe", json.dumps({"whom": "Jane\nDoe", "city": "Oslo"})
    logged = says("to Jane Doe it is")
    async with recording(tmp_path, Upstream([calls("write", arguments)] * 3), texts="redact", redact=(secret,)) as made:
        turns = [{"role": "user", "name": "x", "content": [{"type": "text", "text": "Write to Jane\nDoe"}]}]
        assert await made.ask("calls", tools=TOOLS, messages=turns) == 200
        made.upstream.script = [logged]
        assert await made.ask("tokens", model="up", logprobs=True, top_logprobs=1) == 200
        assert await made.ask("stops", model="up", stop=["Jane  Doe"]) == 200
        made.upstream.script = [says("nothing to hide")]
        assert await made.ask("whole", model="up") == 200
    for name in ("calls", "tokens", "stops"):
        content = made.record(name).read_bytes()
        assert b"Jane" not in content, name
        assert read_header(made.record(name))["texts"] == "redact"
    assert "texts" not in read_header(made.record("whole"))


async def test_no_fingerprint_of_a_prompt_is_left_by_which_it_could_be_guessed(tmp_path: Path) -> None:
    made_of = {}
    for texts in ("keep", "digest"):
        async with recording(tmp_path / texts, texts=texts) as made:
            await ask_all(made, "text")
        with closing(sqlite3.connect(made.record("text"))) as db:
            made_of[texts] = {
                digest
                for (digest,) in db.execute(
                    "SELECT digest FROM operations UNION SELECT digest FROM samples UNION SELECT digest FROM outcomes"
                )
            }
            made_of[texts] |= {
                each for (fields,) in db.execute("SELECT fields FROM operations") for each in json.loads(fields)["prompts"]
            }
    assert made_of["keep"]
    assert not made_of["keep"] & made_of["digest"]
