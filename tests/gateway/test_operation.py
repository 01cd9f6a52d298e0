"""A gateway in operation: budgets by the day, failover, reload, drain, and no secret anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from outthink.gateway.config import read
from outthink.gateway.spending import history
from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.operating import SECRET, Running, running, written
from tests.gateway.test_streams import until

SLOW = FakeSettings(api_key=SECRET, latency=0.05)


def billed(servers: list[FakeServer]) -> tuple[int, int, int]:
    """Requests, prompt and completion tokens that the upstreams saw."""
    accounts = [server.accounts for server in servers]
    return (
        sum(each.requests for each in accounts),
        sum(each.prompt_tokens for each in accounts),
        sum(each.generated_tokens for each in accounts),
    )


async def test_what_a_key_spends_is_what_the_upstreams_saw_and_it_is_remembered(tmp_path: Path) -> None:
    async with running(tmp_path, FakeSettings(api_key=SECRET), FakeSettings(api_key=SECRET)) as it:
        for model in ("fake", "fake@majority:20", "fake@best_of_majority:4"):
            status, reply, headers = await it.post(model=model)
            assert status in (200, 400), reply  # best_of_majority needs a verifier
            assert headers["x-request-id"]
        calls, prompt, completion = billed(it.servers)
        assert calls == 21
        assert min(server.accounts.requests for server in it.servers) > 0  # they are drawn by lot: of few all might go to one
        day = it.operation.spending.days()[0]
        assert (day.key, day.spent["calls"], day.spent["tokens"]) == ("alice", calls, prompt + completion)
        usd = (prompt * 1.0 + completion * 2.0) / 1e6
    kept = history(tmp_path / "state", "alice", 1)[0]
    assert kept["usd"] == pytest.approx(usd)
    assert kept["tokens"] == prompt + completion


async def test_a_daily_budget_holds_for_requests_at_once_and_over_restarts(tmp_path: Path) -> None:
    keys = {"alice": 'daily_budget = "3000 tokens"', "root": "operator = true"}
    async with running(tmp_path, SLOW, keys=keys) as it:
        replies = await asyncio.gather(*(it.post(model="fake@majority:4") for _ in range(30)))
        statuses = [status for status, _, _ in replies]
        assert 200 in statuses
        assert set(statuses) <= {200, 402, 429}
        told = sum(reply["usage"]["total_tokens"] for status, reply, _ in replies if status == 200)
        _, prompt, completion = billed(it.servers)
        assert told <= prompt + completion <= 3000
        spent = it.operation.spending.days()[0].spent["tokens"]
        assert prompt + completion <= spent <= 3000
    keys_again = {"alice": 'daily_budget = "10 tokens"'}
    async with running(tmp_path, SLOW, keys=keys_again) as it:
        status, reply, headers = await it.post()
        assert (status, reply["error"]["code"]) == (429, "insufficient_quota")
        assert int(headers["retry-after"]) > 0
        assert it.servers[0].accounts.requests == 0


async def test_an_upstream_that_dies_costs_no_request(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW, SLOW) as it:

        async def load() -> list[int]:
            return [(await it.post(model="fake@majority:3"))[0] for _ in range(6)]

        tasks = [asyncio.create_task(load()) for _ in range(8)]
        while it.servers[0].accounts.requests < 8:  # noqa: ASYNC110  # a server tells nobody
            await asyncio.sleep(0.01)
        await it.servers[0].close()
        statuses = [status for each in await asyncio.gather(*tasks) for status in each]
        assert statuses == [200] * 48
        assert it.servers[1].accounts.requests > 70
        text = (await it.get("/metrics", "root"))[1]
        # what was under way is lost; with enough of it the breaker opens before any new call is refused
        assert re.search(r'outthink_upstream_calls_total{model="fake",outcome="(lost|refused)",upstream="u0"}', text)
        assert 'outthink_upstream_calls_total{model="fake",outcome="ok",upstream="u1"}' in text


async def test_a_reload_changes_everything_and_drops_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, SLOW) as it, FakeServer(SLOW) as other:
        before = [asyncio.create_task(it.post(model="fake@majority:4")) for _ in range(8)]
        await until(lambda: it.servers[0].accounts.requests == 32)
        bob = {"bob": 'strategy = "majority:2"'}
        text = written(tmp_path, [other], {"bob": it.keys["alice"]}, bob, "[limits]\nat_once = 3\n")
        assert await it.operation.reloaded()
        status, _, _ = await it.post()
        assert status == 200
        assert other.accounts.requests == 2  # bob's default strategy, on the new upstream
        assert it.operation.admission.limits.at_once == 3
        assert [status for status, _, _ in await asyncio.gather(*before)] == [200] * 8
        assert it.servers[0].accounts.requests == 32
        async with asyncio.timeout(30):
            while it.operation.retired:  # it is swept once a second
                it.operation._keep(it.operation._house())
                await asyncio.sleep(0.02)
        assert it.operation.built["fake"].users == 0
        (tmp_path / "gateway.toml").write_text(text.replace("at_once", "at_onec"))
        assert not await it.operation.reloaded()
        assert (await it.post())[0] == 200
        (tmp_path / "gateway.toml").write_text(text)
        same = it.operation.built["fake"]
        assert await it.operation.reloaded()
        assert it.operation.built["fake"] is same  # what didn't change isn't built again
    said = it.log.getvalue()
    assert "did you mean at_once" in said
    assert "reload refused" in said


@pytest.mark.parametrize("path", ["/configure", "/config", "/v1/config", "/reload", "/metrics", "/page/data/requests"])
async def test_nothing_is_shown_or_changed_without_a_key(path: str, tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            async with it.session.request(method, it.base + path, data=b"{}") as reply:
                assert reply.status in (401, 403, 404, 405), (method, path)
        assert (await it.get("/metrics", "alice"))[0] == 403
        assert (await it.get("/metrics", "root"))[0] == 200
        assert it.servers[0].accounts.requests == 0


async def all_said(it: Running) -> str:
    """Everything that anybody can read: logs, metrics, page, errors, records, state."""
    pages = ["/health", "/ready", "/v1/models", "/metrics", "/page/data/requests", "/page/data/state", "/nowhere", "/page/"]
    texts = [(await it.get(page, key))[1] for page in pages for key in ("", "alice", "root", "wrong-key-wrong-key-wrong")]
    models = ("fake", "none", "fake@x")
    texts += [json.dumps((await it.post(key, model=model))[1]) for key in it.keys for model in models]
    return "\n".join(texts)


def contents(folder: Path) -> dict[str, bytes]:
    """What every file of the gateway holds, but for the one that the secret came from."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "secret"}


@pytest.mark.parametrize("fault", ["", "server_error", "bad_gateway_html", "disconnect"])
async def test_no_secret_is_said_anywhere(fault: str, tmp_path: Path) -> None:
    faults = {fault: 0.5} if fault else {}
    more = f'[records]\nfolder = "{tmp_path / "records"}"\n[logs]\nlevel = "debug"\n'
    async with running(tmp_path, FakeSettings(api_key=SECRET, faults=faults), more=more) as it:
        said = await all_said(it)
        it.operation.hide.add([it.keys["alice"]])
        keys, log = dict(it.keys), it.log
    everything = said.encode() + log.getvalue().encode()
    files = contents(tmp_path)
    assert any(name.endswith(".db") and "records" in name for name in files)
    everything += b"".join(files.values())
    for secret in (SECRET, *keys.values()):
        assert secret.encode() not in everything


async def test_an_upstream_that_repeats_its_key_isnt_repeated(tmp_path: Path) -> None:
    from aiohttp import web

    async def echo(request: web.Request) -> web.Response:
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": "m"}]})
        return web.json_response({"error": {"message": f"bad key {request.headers['Authorization']}"}}, status=400)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with running(tmp_path) as it:
        text = (tmp_path / "gateway.toml").read_text().replace(it.servers[0].url, f"http://127.0.0.1:{port}/v1#m")
        (tmp_path / "gateway.toml").write_text(text)
        assert await it.operation.reloaded()
        status, reply, _ = await it.post()
        assert status >= 400
        assert SECRET not in json.dumps(reply)
    assert SECRET not in it.log.getvalue()
    await runner.cleanup()


async def test_a_gateway_over_dead_upstreams_starts_says_so_and_recovers(tmp_path: Path) -> None:
    more = "[health]\nevery_seconds = 0.1\npatience_seconds = 0\nopen_seconds = 0.2\n"
    async with running(tmp_path, SLOW, more=more) as it:
        port = it.servers[0].port
        await it.servers[0].close()
        async with asyncio.timeout(60):
            status = 502
            while status == 502:  # it is tried, now and then also later: then it is known to be out, and nothing is sent
                status, reply, _ = await it.post()
                assert status in (502, 503), reply
            await it.servers[0].open(port)
            while (await it.post())[0] != 200:  # noqa: ASYNC110  # the health check brings it back
                await asyncio.sleep(0.05)


@pytest.mark.slow
def test_the_command_serves_reloads_and_drains(tmp_path: Path) -> None:
    """As operators run it: a process, SIGHUP, SIGTERM with a request under way."""
    from outthink.testing.fake_server import FakeServerProcess

    with FakeServerProcess(FakeSettings(latency=0.5)) as upstream:
        text = f'[server]\nport = 0\nstate = "{tmp_path / "state"}"\n[models.fake]\nupstreams = [{{ url = "{upstream.url}" }}]\n'
        (tmp_path / "g.toml").write_text(text)
        assert read(tmp_path / "g.toml").keyless
        command = [sys.executable, "-m", "outthink", "serve", "--config", str(tmp_path / "g.toml")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            url = next(line for line in process.stderr if "listening on" in line).split()[-1]
            body = json.dumps({"model": "fake", "messages": [{"role": "user", "content": "p0"}]}).encode()
            asked = urllib.request.Request(f"{url}/chat/completions", body, {"Content-Type": "application/json"})
            assert json.load(urllib.request.urlopen(asked))["choices"]
            (tmp_path / "g.toml").write_text(text + '[defaults]\nstrategy = "majority:3"\n')
            os.kill(process.pid, signal.SIGHUP)
            next(line for line in process.stderr if '"reloaded"' in line)
            answers: list[object] = []
            thread = threading.Thread(target=lambda: answers.append(json.load(urllib.request.urlopen(asked))))
            thread.start()
            while upstream.metrics()["requests"] < 2:  # it is under way
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGTERM)
            thread.join(60)
            assert process.wait(60) == 0
            assert answers
            assert answers[0]["choices"]  # type: ignore[index]  # JSON
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
            process.stderr.close()
        assert upstream.metrics()["requests"] == 4
    assert history(tmp_path / "state", "anyone", 1)[0]["calls"] == 4
