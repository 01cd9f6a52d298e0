"""`outthink resume` on a gateway's record: the gateway is a process of its own, and kill -9 is real."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from outthink.runtime.recorded import read_rows
from outthink.testing.fake_server import FakeServerProcess, FakeSettings
from outthink.testing.gateway_process import GatewayProcess
from tests.cli.conftest import Outthink

SAMPLES = 12
CONFIG = """
[models.small]
strategy = "majority:4"
upstreams = [{{ url = "{url}", model = "fake", concurrency = 2 }}]
[records]
folder = "records"
"""


def ask(gateway: GatewayProcess, **body: Any) -> Any:
    """The reply to one chat, or None where the gateway died."""
    sent = {"model": "small", "messages": [{"role": "user", "content": "What is 17 + 25?"}], **body}
    headers = {"Content-Type": "application/json", "X-Request-ID": "request-1"}
    request = urllib.request.Request(f"{gateway.url}/chat/completions", json.dumps(sent).encode(), headers)  # our own
    try:
        with urllib.request.urlopen(request) as reply:  # our own address
            return json.load(reply)
    except (urllib.error.URLError, ConnectionError):
        return None


def only_record() -> Path | None:
    return next(iter(Path("records").glob("*/request-1.db")), None)


def held(record: Path) -> int:
    """Samples in it."""
    return sum(row.state == "ok" for _, row in read_rows(record))


@pytest.mark.slow
def test_what_a_killed_gateway_was_doing_is_ended_and_nothing_is_paid_for_twice(outthink: Outthink) -> None:
    with FakeServerProcess(FakeSettings(latency=0.7, slots=2)) as server:
        Path("gateway.toml").write_text(CONFIG.format(url=server.url))
        gateway = GatewayProcess(None, "--config", "gateway.toml").__enter__()
        client = threading.Thread(target=ask, args=(gateway,), kwargs={"model": f"small@majority:{SAMPLES}"})
        client.start()
        while (record := only_record()) is None or not held(record):
            time.sleep(0.02)
        os.kill(server.pid, signal.SIGSTOP)  # it answers nothing more, whatever time the rest takes
        under_way = outthink("resume", str(record))
        gateway.kill()
        os.kill(server.pid, signal.SIGCONT)
        client.join()
        gateway.__exit__(None, None, None)
        assert (under_way.code, under_way.out) == (2, "")
        assert "is still answering the request" in under_way.err
        while server.metrics()["in_flight"]:
            time.sleep(0.02)
        before, paid = server.metrics(), held(record)
        assert 0 < paid < SAMPLES
        found = outthink("resume", str(record), "--json")
        after = server.metrics()
        assert found.code == 0
        assert after["requests"] - before["requests"] == SAMPLES - paid
        assert (found.document["request"], found.document["usage"]["samples"]) == ("request-1", SAMPLES)
        [answer] = found.document["answers"]
        again = outthink("resume", str(record))
        assert again.out.strip() == answer["text"].strip()
        assert outthink("view", str(record), "--html", "page.html").code == 0
        assert server.metrics()["requests"] == after["requests"]


def test_an_ended_request_is_given_again_and_mistakes_are_told(outthink: Outthink) -> None:
    with FakeServerProcess(FakeSettings()) as server:
        Path("gateway.toml").write_text(CONFIG.format(url=server.url))
        with GatewayProcess(None, "--config", "gateway.toml") as gateway:
            reply = ask(gateway, n=2)
        record = str(only_record())
        found = outthink("resume", record, "--json").document
        assert [each["text"] for each in found["answers"]] == [each["message"]["content"] for each in reply["choices"]]
        assert outthink("resume", record, "--model", f"{server.url}#fake").code == 0
        Path("gateway.toml").rename("elsewhere.toml")
        gone = outthink("resume", record)
        assert (gone.code, "is gone; name it by --config, or a server by --model URL" in gone.err) == (2, True)
        assert outthink("resume", record, "--config", "elsewhere.toml").code == 0
        both = outthink("resume", record, "--config", "elsewhere.toml", "--model", "embedded")
        assert (both.code, "give either --config or --model" in both.err) == (2, True)
        assert outthink("solve", "1+1?", "--model", f"{server.url}#fake", "--journal", "run.db").code == 0
        solved = outthink("resume", "run.db", "--model", "embedded")
        assert (solved.code, "are for a gateway's record" in solved.err) == (2, True)
        Path("golds.jsonl").write_text(json.dumps({"problem": "What is 17 + 25?", "gold": found["answer"]}))
        made = outthink("pool", "import", "records", "--to", "p.parquet", "--licence", "MIT", "--problems", "golds.jsonl")
        assert (made.code, "4 samples from records (requests: 1)" in made.err) == (0, True)
        assert outthink("pool", "validate", "p.parquet").code == 0
        assert outthink("pool", "describe", "p.parquet", "--json").document["graded"] == 4
        assert outthink("pool", "curves", "p.parquet").code == 0
        asked = outthink("eval", "--pool", "p.parquet", "--budgets", "1,2,4 samples", "--json")
        assert (asked.code, asked.document["rows"][-1]["accuracy"]) == (0, 1.0)
        one = outthink("pool", "import", record, "--to", "one.parquet", "--licence", "MIT", "--json")
        assert (one.document["format"], one.document["samples"]) == ("records", 4)
    down = outthink("resume", record, "--config", "elsewhere.toml")
    assert (down.code, "no upstream of the model small can be reached" in down.err) == (4, True)
