"""What is counted, what is logged, and what neither may hold."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from outthink.gateway.config import Logs as LogSettings
from outthink.gateway.logs import JsonLines, Logs, event
from outthink.gateway.metrics import KINDS
from outthink.gateway.refusal import Refusal
from outthink.gateway.secrecy import HIDDEN, Hider
from outthink.testing.fake_server import FakeSettings
from tests.gateway.operating import SECRET, running


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a page of metrics, by name and labels."""
    families = text_string_to_metric_families(text)
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples}


async def test_metrics_count_what_the_upstreams_saw(tmp_path: Path) -> None:
    faults = {"server_error": 0.2, "rate_limit": 0.1}
    async with running(tmp_path, FakeSettings(api_key=SECRET, faults=faults, retry_after=0.01)) as it:
        for n in (1, 3, 5):
            assert (await it.post(model=f"fake@majority:{n}"))[0] == 200
        await it.post(model="nobody")
        await it.post(key="wrong-key")
        found = values((await it.get("/metrics", "root"))[1])
        accounts = it.servers[0].accounts
        day = it.operation.spending.days()[0].spent

    def of(name: str, **labels: str) -> float:
        return sum(
            value for (each, its), value in found.items() if each == f"outthink_{name}" and labels.items() <= dict(its).items()
        )

    assert of("requests_total", status="200", protocol="chat", model="fake", strategy="majority") == 3
    assert of("refused_total", code="model_not_found") == of("refused_total", code="invalid_api_key") == 1
    assert of("request_seconds_count") == 3
    assert of("queue_seconds_count") == 3
    assert of("runs_total", stop="finished") == 3
    assert of("upstream_calls_total") == accounts.requests
    assert of("upstream_calls_total", outcome="ok") == of("upstream_seconds_count") == 9
    assert of("tokens_total", kind="prompt") == accounts.prompt_tokens
    assert of("tokens_total", kind="completion") == accounts.generated_tokens
    tokens = sum(of("tokens_total", kind=kind) for kind in ("prompt", "completion", "unknown_prompt", "unknown_completion"))
    assert tokens == day["tokens"] == of("key_spent_today", key="alice", dimension="tokens")
    assert abs(of("spend_usd_total", key="alice") - day["usd"]) < 1e-12
    assert of("upstream_healthy", upstream="u0") == 1
    assert of("upstream_breaker") == 1
    assert of("requests_under_way") == of("requests_waiting") == of("spending_unwritable") == of("records_dropped_total") == 0
    assert {label for name, labels in found for label, _ in labels} <= {
        "protocol", "model", "strategy", "status", "le", "code", "role", "kind", "key", "stop", "upstream", "outcome", "state",
        "dimension",
    }  # fmt: skip
    assert len(KINDS) == 6


async def test_labels_are_never_a_clients_words(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        for i in range(20):
            await it.post(model=f"made-up-{i}")
            await it.get(f"/made-up-{i}", "alice")
            await it.post(model="fake", user=f"made-up-{i}")
        text = (await it.get("/metrics", "root"))[1]
    assert "made-up" not in text


async def test_each_request_is_one_line_with_its_id_and_no_text(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        _, _, headers = await it.post(model="fake@majority:3", messages=[{"role": "user", "content": "p0 PRIVATE-WORDS"}])
        await it.post(model="nobody")
    lines = [json.loads(line) for line in it.log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request"] == headers["x-request-id"]
    assert (line["key"], line["model"], line["strategy"]) == ("alice", "fake", "majority")
    assert (line["status"], line["stop"]) == (200, "finished")
    assert line["usage"]["samples"] == 3
    assert line["usage"]["completion_tokens"] > 0
    assert next(line for line in lines if line["event"] == "refused")["code"] == "model_not_found"
    assert [lines[0]["event"], lines[-1]["event"]] == ["started", "stopped"]
    assert "PRIVATE-WORDS" not in it.log.getvalue()


def test_a_log_line_stays_one_line_whatever_it_is_told() -> None:
    out = JsonLines(Hider(["hunter2-hunter2"]))
    record = logging.LogRecord("other.library", logging.ERROR, "", 0, "bad\n{json} %s", ("hunter2-hunter2",), None)
    record.fields = {"message": "x" * 10_000, "odd": object(), "none": None}
    text = out.format(record)
    assert "\n" not in text
    assert "hunter2" not in text
    line = json.loads(text)
    assert (line["logger"], len(line["message"])) == ("other.library", 2000)
    assert "none" not in line


def test_logging_is_given_back_and_a_full_queue_loses_lines_and_counts_them() -> None:
    before = (logging.getLogger().level, logging.getLogger().handlers[:])
    stream = io.StringIO()
    logs = Logs(LogSettings(), Hider(), stream)
    logs.open()
    event("something", answer=42)
    logging.getLogger("library").warning("told")
    logs._listener.stop()
    logs._queue.maxsize = 1
    for _ in range(5):
        event("lost")
    assert logs.lost == 4
    logs._queue.maxsize = 0
    logs._listener.start()
    logs.refused("/v1", Refusal(401, "no"), "r")
    logs.close()
    assert (logging.getLogger().level, logging.getLogger().handlers[:]) == before
    said = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert said == ["something", "told", "lost", "refused"]


@given(st.text(max_size=50), st.text(min_size=6, max_size=30), st.text(max_size=50))
def test_a_known_secret_never_gets_through(before: str, secret: str, after: str) -> None:
    hidden = Hider([secret])(before + secret + after)
    assert secret not in hidden.replace(HIDDEN, "\0" * len(HIDDEN)) or secret in before + "\0" + after


def test_what_looks_like_a_key_is_hidden_too() -> None:
    from outthink.gateway.keys import new_key

    hide, key = Hider(), new_key()
    assert key not in hide(f"they sent {key}!")
    assert hide("Authorization: Bearer abcdefgh12345") == f"Authorization: Bearer {HIDDEN}"
    assert "sk-" not in hide("the key sk-proj-abcdefghijklmnop is wrong")
    assert hide("the bearer of this not-a-key") == "the bearer of this not-a-key"
