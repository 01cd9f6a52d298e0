"""Every check of the probe sees its feature where it is, and its absence where a field is only accepted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from outthink.backends.openai import OpenAIBackend
from outthink.backends.probe import FEATURES, probe
from outthink.core.errors import UnknownName
from outthink.testing.fake_server import Drawn, FakeServer, FakeSettings

PROSE = "There are many things that bees do in a day. " + "They fly, they dance, they rest, and then they fly again. " * 9


def world(prompt: str, prefix: str | None, draw: int) -> Drawn:
    """Random texts where randomness is asked for, prose elsewhere; an open turn is continued where it ends."""
    text = f"{draw} {draw % 97}" if "random" in prompt else PROSE
    return Drawn(text.removeprefix(prefix or ""), 0.8)


@asynccontextmanager
async def served(settings: Mapping[str, Any]) -> AsyncIterator[OpenAIBackend]:
    async with FakeServer(FakeSettings(**settings), world) as server:
        backend = OpenAIBackend(server.url, engine="vllm")
        await backend.open()
        try:
            yield backend
        finally:
            await backend.close()


SLOW = {"per_token": 0.05, "slots": 4}


async def test_an_honest_server_has_everything() -> None:
    heard = []
    async with served({}) as backend:
        report = await probe(backend, [name for name in FEATURES if name != "cancel"], told=heard.append)
    assert [finding.verdict for finding in report.findings] == ["yes"] * (len(FEATURES) - 1)
    assert heard == list(report.findings)
    able = report.capabilities()
    assert (able.n, able.logprobs, able.seed, able.prefix, able.emulated) == (8, 20, True, True, ())
    assert able.cancel is backend.capabilities.cancel  # not probed: as declared


async def test_leaving_a_stream_of_an_honest_server_frees_it() -> None:
    async with served(SLOW) as backend:
        assert (await probe(backend, ["cancel"]))["cancel"].verdict == "yes"


@pytest.mark.parametrize(
    ("feature", "verdict", "settings"),
    [
        ("max_tokens", "no", {"faults": {"ignores_max_tokens": 1.0}}),
        ("usage", "no", {"faults": {"wrong_usage": 1.0}}),
        ("usage", "no", {"faults": {"missing_usage": 1.0}}),
        ("n", "emulated", {"faults": {"ignores_n": 1.0}}),
        ("n", "emulated", {"faults": {"duplicate_indices": 1.0}}),
        ("n", "emulated", {"max_n": 1}),
        ("seed", "no", {"faults": {"ignores_seed": 1.0}}),
        ("seed", "no", {"seeds": False}),
        ("logprobs", "no", {"faults": {"null_logprobs": 1.0}}),
        ("logprobs", "no", {"faults": {"nan_logprobs": 1.0}}),
        ("logprobs", "no", {"logprobs": False}),
        ("prefix", "no", {"continuation": "none"}),
        ("stop", "no", {"faults": {"swallows_stop": 1.0}}),
        ("prompt_logprobs", "no", {"prompt_logprobs": False, "logprobs": False}),
        ("guided", "no", {"guided": False}),
        ("prefix_cache", "no", {"prefix_cache": False, "latency": 0.1}),  # of which the machine's own delays are a small part
        ("cancel", "no", SLOW | {"faults": {"keeps_generating": 1.0}}),
        ("chat", "no", {"faults": {"null_content": 1.0}}),
        ("stream", "unknown", {"faults": {"null_content": 1.0}}),
    ],
)
async def test_every_misbehaviour_is_seen(feature: str, verdict: str, settings: dict[str, Any]) -> None:
    async with served(settings) as backend:
        report = await probe(backend, [feature])
    assert (report[feature].verdict, report[feature].evidence != "") == (verdict, True)
    able = report.capabilities()
    if hasattr(able, feature) and verdict != "emulated":
        assert getattr(able, feature) in (False, -1)
    assert able.emulated == (("n",) if verdict == "emulated" else ())


async def test_streams_that_end_at_once_tell_nothing_of_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outthink.backends.probe_timing.NOISE", 10.0)  # whatever the machine delays
    async with served({}) as backend:
        report = await probe(backend, ["cancel"])
    assert report["cancel"].verdict == "unknown"
    assert not report.capabilities().cancel


@pytest.mark.parametrize(
    "fault", ["hang", "server_error", "rate_limit", "disconnect", "malformed_json", "empty_choices", "bad_utf8"]
)
async def test_a_broken_server_is_never_said_to_have_anything(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outthink.backends.probe_ask.SECONDS", 0.05)
    async with served({"faults": {fault: 1.0}}) as backend:
        report = await probe(backend)
    assert not [finding for finding in report.findings if finding.verdict in ("yes", "emulated")]


async def test_an_unknown_feature_is_named() -> None:
    async with served({}) as backend:
        with pytest.raises(UnknownName, match="prefix"):
            await probe(backend, ["prefill_"])


@pytest.mark.model
async def test_llama_cpp_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setattr("outthink.backends.probe_ask.SECONDS", 300.0)  # however little of the machine it gets
    monkeypatch.setattr("outthink.backends.probe_timing.NOTICED", 60.0)
    from outthink.backends.weights import model_file
    from outthink.testing.llama_server import llama_server

    with llama_server(model_file("embedded"), slots=2) as url:
        backend = OpenAIBackend(url)
        await backend.open()
        report = await probe(backend)
        await backend.close()
    found = {finding.feature: finding.verdict for finding in report.findings}
    assert found == dict.fromkeys(FEATURES, "yes") | {"prompt_logprobs": "no", "seed": found["seed"]}, report
