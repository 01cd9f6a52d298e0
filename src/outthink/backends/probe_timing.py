"""Checks that need a clock: whether leaving a stream frees the server, and whether a prompt's beginning is remembered."""

from __future__ import annotations

import asyncio
import random
import re
import time
from statistics import median

from outthink.backends.probe_ask import Ask, Finding
from outthink.core.errors import BackendError

__all__ = ["TIMING_CHECKS"]

LONG = "Write a very long story about a lighthouse, with every detail of every day, and never end it."
NOTICED = 5.0  # seconds within which a server must notice; llama.cpp looks once a second
NOISE = 0.1  # seconds: a smaller delay can be the machine's own
SHORT = "Say one word."
_RUNNING = re.compile(
    r"^(?:vllm:num_requests_running|sglang:num_running_reqs|llamacpp:requests_processing)(?:\{[^}\n]*\})? ([0-9.e+]+)", re.M
)


async def cancel(ask: Ask) -> Finding:
    """Streams are opened and left; the server's own gauge of running requests, or the delay of the next, tells the rest."""
    crowd = ask.backend.facts.slots or 4
    idle = median([await _short_call(ask, 20.0) for _ in range(3)])
    limit = min(max(1.0, 8 * idle), 5.0)
    before = await _running(ask)
    streams = [asyncio.create_task(_endless(ask)) for _ in range(crowd)]
    try:
        await asyncio.sleep(min(0.5, 2 * idle))
        during = await _running(ask)
        busy = await _short_call(ask, limit)
        lasted = not all(stream.done() for stream in streams)
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    left = time.perf_counter()
    after = await _short_call(ask, limit)
    if before is not None and during is not None and during > before:
        running = during
        while running > before and time.perf_counter() - left < NOTICED:
            await asyncio.sleep(0.05)
            running = await _running(ask) or 0.0
        took = time.perf_counter() - left
        seen = f"its gauge said {during:g} running requests, and {running:g} within {took:.1f} s of their being left"
        return Finding("cancel", "yes" if running <= before else "no", seen)
    seen = f"a short request took {idle:.3f} s alone, {busy:.3f} s beside {crowd} streams, {after:.3f} s after they were left"
    plain = max(2 * idle, idle + NOISE)
    if not lasted and after < plain:
        return Finding("cancel", "unknown", f"the streams ended too early to tell; {seen}")
    if busy < plain:
        return Finding("cancel", "unknown", f"the server is not delayed by {crowd} streams, and has no gauge to ask; {seen}")
    freed = after < idle + 0.35 * (busy - idle)
    return Finding("cancel", "yes" if freed else "no", seen)


async def _short_call(ask: Ask, limit: float) -> float:
    """Seconds that a request of one token takes; `limit` where it takes longer."""
    began = time.perf_counter()
    try:
        await asyncio.wait_for(ask.chat(SHORT, max_tokens=1), limit)
    except TimeoutError:
        return limit
    return time.perf_counter() - began


async def _endless(ask: Ask) -> None:
    """A stream as long as the server lets it be."""
    fields = {} if ask.engine.name in ("openai", "generic", "ollama") else {"ignore_eos": True}
    await ask.streamed(LONG, None, max_tokens=min(1500, (ask.backend.capabilities.context or 4096) // 2), **fields)


async def _running(ask: Ask) -> float | None:
    """Requests that the server says it is working on, or None where it doesn't say."""
    try:
        _, page = await ask.backend.wire.get("/metrics", 5.0, root=True)
    except BackendError:
        return None
    values = _RUNNING.findall(page.decode("utf-8", "replace"))
    return sum(map(float, values)) if values else None


async def prefix_cache(ask: Ask) -> Finding:
    """A long new prompt is sent twice: the second time is reported as cached, or is much faster. Up to three rounds."""
    firsts: list[float] = []
    seconds: list[float] = []
    reported, cached, prompt = False, 0, 0  # of the second of two
    words = "amber birch cedar delta ember fjord grove heath inlet jetty knoll ledge marsh north ocean plain".split()
    for _ in range(3):
        text = " ".join(random.SystemRandom().choices(words, k=120))
        for times in (firsts, seconds):
            began = time.perf_counter()
            reply = await ask.chat(f"{text}\n\nSay one word.", max_tokens=1)
            times.append(time.perf_counter() - began)
            prompt = reply.prompt or 0
            reported = reported or "prompt_tokens_details" in str(reply.answer.get("usage"))
            cached = reply.cached
        if cached * 2 > prompt > 0:
            break
    first, second = median(firsts), median(seconds)
    seen = f"a prompt took {first:.3f} s, again {second:.3f} s; {cached} of its {prompt} tokens were reported as cached"
    if cached * 2 > prompt > 0 or (first > 0.05 and second < 0.5 * first):
        return Finding("prefix_cache", "yes", seen)
    return Finding("prefix_cache", "no" if reported or first > 0.1 else "unknown", seen)


TIMING_CHECKS = (cancel, prefix_cache)
