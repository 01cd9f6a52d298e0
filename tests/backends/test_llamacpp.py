"""llama.cpp in process, without a model: attempts on an engine of the test's own."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.llamacpp.engine import Facts
from outthink.core.backend import Backend, Completion, Delta, Request
from outthink.core.errors import BadInput, InternalError, Lost, MissingExtra, Permanent, Refused, Unsupported
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from tests.backends.llamacpp_chunks import chunk


class ScriptedEngine:
    """Emits given chunks; a callable among them is called on the slot's thread instead."""

    def __init__(self, script: Iterable[bytes | Callable[[], object]]) -> None:
        self.script = list(script)
        self.facts = Facts(context=512, vocabulary=100, chat=True, end="<|im_end|>")
        self.closing = False
        self.close_began = threading.Event()
        self.sent: list[dict[str, Any]] = []
        self.emitted = 0
        self.idle = threading.Event()
        self._threads = ThreadPoolExecutor(1)

    def submit(self, work: Callable[[], Completion]) -> Future[Completion]:
        return self._threads.submit(work)

    def generate(self, body: bytes, take: Callable[[bytes], bool]) -> None:
        self.sent.append(json.loads(body))
        try:
            for item in self.script:
                if callable(item):
                    item()
                    continue
                self.emitted += 1
                if self.closing or take(item):
                    break
        finally:
            self.idle.set()

    def page(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        if path == "/tokenize":
            return {"tokens": payload["content"].split()}
        return {"prompt": " ".join(turn["content"] for turn in payload["messages"]) + " assistant: "}

    def close(self) -> None:
        self.closing = True
        self.close_began.set()
        self._threads.shutdown(cancel_futures=True)


def endless(first: int = 1) -> Iterator[bytes]:
    yield from (chunk("a", count) for count in range(first, 100_000))


async def opened(
    script: Iterable[bytes | Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> tuple[LlamaCppBackend, ScriptedEngine]:
    engine, backend = ScriptedEngine(script), LlamaCppBackend("model.gguf")
    monkeypatch.setattr(backend, "_load", lambda: engine)
    await backend.open()
    return backend, engine


def asking(watch: Callable[[Delta], bool] | None = None, timeout: float | None = None) -> Request:
    return Request(Prompt.chat("hello", prefix="So"), Sampling(), [1], watch=watch, timeout=timeout)


async def test_the_template_and_the_open_prefix_are_sent_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, engine = await opened([chunk("4", 1), chunk("", 1, end="stop")], monkeypatch)
    assert isinstance(backend, Backend)
    assert (await backend.complete(asking())).pieces[0].text == "4"
    assert engine.sent[0]["prompt"] == "hello assistant: So"
    assert engine.sent[0]["preserved_tokens"][0] == "<|im_end|>"
    assert backend.prompt_bound(asking().prompt) == 3
    assert backend.capabilities.context == 512
    await backend.close()


async def test_all_deltas_arrive_on_the_loop_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = await opened([*(chunk(f"{count} ", count) for count in range(1, 500)), chunk("", 499, end="stop")], monkeypatch)
    loop_thread, deltas = threading.get_ident(), []

    def watch(delta: Delta) -> bool:
        assert threading.get_ident() == loop_thread
        deltas.append(delta)
        return False

    piece = (await backend.complete(asking(watch))).pieces[0]
    assert "".join(delta.text for delta in deltas) == piece.text == "".join(f"{count} " for count in range(1, 500))
    assert sum(delta.tokens for delta in deltas) == piece.tokens == 499
    await backend.close()


async def test_a_watcher_that_stops_gets_what_was_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()
    backend, engine = await opened([chunk("a", 1), seen.wait, *endless(2)], monkeypatch)

    def watch(_: Delta) -> bool:
        seen.set()
        return True

    completion = await backend.complete(asking(watch))
    assert completion.pieces[0].finish is Finish.CANCELLED
    assert completion.completion_tokens == len(completion.pieces[0].text) == engine.emitted < 100_000
    await backend.close()


async def test_a_watcher_that_fails_fails_the_attempt_and_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, engine = await opened(endless(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        await backend.complete(asking(lambda _: 1 // 0 > 0))
    assert engine.idle.is_set()
    await backend.close()


async def test_cancelling_the_waiter_frees_the_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    backend, engine = await opened([chunk("a", 1), started.set, go_on.wait, *endless()], monkeypatch)
    running = asyncio.create_task(backend.complete(asking()))
    waiting = asyncio.create_task(backend.complete(asking()))
    await asyncio.to_thread(started.wait)
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert running.cancelled()
    assert waiting.cancelled()
    go_on.set()
    await asyncio.to_thread(engine.idle.wait)
    assert engine.emitted == 2
    assert len(engine.sent) == 1  # the one that waited for the slot was never sent
    await backend.close()


async def test_a_time_limit_loses_the_attempt_with_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = await opened(endless(), monkeypatch)
    with pytest.raises(Lost, match=r"within 0\.001 s") as caught:
        await backend.complete(asking(timeout=0.001))
    assert caught.value.prompt_tokens == 10
    assert caught.value.completion_tokens is not None
    await backend.close()


async def test_a_stream_that_just_ends_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = await opened([chunk("a", 1)], monkeypatch)
    with pytest.raises(Lost, match="in the middle") as caught:
        await backend.complete(asking())
    assert caught.value.completion_tokens == 1
    await backend.close()


async def test_closing_fails_what_runs_and_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    backend, engine = await opened([chunk("a", 1), started.set, go_on.wait, *endless()], monkeypatch)
    tasks = [asyncio.create_task(backend.complete(asking())) for _ in range(2)]
    await asyncio.to_thread(started.wait)
    closing = asyncio.create_task(backend.close())
    await asyncio.to_thread(engine.close_began.wait)
    go_on.set()
    await closing
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [Lost, Refused]
    with pytest.raises(InternalError, match="after it was closed"):
        await backend.complete(asking())


async def test_a_model_without_a_template_refuses_a_chat_and_takes_text(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, engine = await opened([chunk("4", 1), chunk("", 1, end="stop")], monkeypatch)
    engine.facts = replace(engine.facts, chat=False)
    assert not backend.capabilities.chat
    with pytest.raises(Permanent, match="no chat template"):
        await backend.complete(asking())
    assert backend.prompt_bound(asking().prompt) >= len("helloSo")
    assert (await backend.complete(Request(Prompt.raw("2+2="), Sampling(), [1]))).pieces[0].text == "4"
    await backend.close()


async def test_one_sample_per_request(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, _ = await opened([], monkeypatch)
    with pytest.raises(Unsupported, match="asked for 2"):
        await backend.complete(Request(Prompt.raw("Q"), Sampling(), [1, 2]))
    await backend.close()


def test_names_and_numbers() -> None:
    assert LlamaCppBackend().name == "llamacpp:SmolLM2-135M-Instruct.Q4_1"
    assert LlamaCppBackend("some/folder/model.gguf").name == "llamacpp:model"
    assert LlamaCppBackend("hf:owner/name/model.gguf@main").name == "llamacpp:model"
    assert not LlamaCppBackend().capabilities.seed
    assert LlamaCppBackend(repeatable=True).capabilities.slots == 1
    with pytest.raises(BadInput, match="slots: is 0"):
        LlamaCppBackend(slots=0)


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + bytes([1]) + bytes(15))
    backend = LlamaCppBackend(path)
    with pytest.raises(MissingExtra, match=r"outthink\[embedded\]"):
        await backend.open()
    await backend.close()
