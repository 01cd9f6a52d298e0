"""A recorded sample as it is played again: whole, cut by a limit, or piece by piece. Which sample is drawn is `pool`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outthink.core.backend import Delta, Piece, Request
from outthink.core.errors import PoolMiss
from outthink.core.logprobs import GROUPED, LogprobNeed, Logprobs
from outthink.core.sample import Finish

SECONDS_PER_TOKEN = 0.01
"""Pace of a stream whose latency was not recorded: all decode in lock-step, as in one batch of one engine."""


@dataclass(frozen=True, slots=True)
class RecordedSample:
    """One sample as it was recorded; None is "not recorded".

    index:    its number among the recorded samples of its problem
    prompt:   `Prompt.digest` of what was asked
    prefix:   the beginning that was given, and that `text` continues
    sampling: the settings that are known, by their names in `Sampling`
    prompt_tokens, cached_tokens, completion_tokens, seconds: what its attempt took
    summary:  numbers from log-probabilities (Logprobs.summary)
    score:    a recorded verifier's number
    failed:   why it never arrived
    answer_only: its text was not kept: `text` is no more than its answer
    logprobs: the arrays, where they were kept
    step_scores: of a process verifier
    language: in which it was asked
    prefixes: (characters of the text, completion tokens by then) at some places on the way, in order
    window:   tokens of the groups whose confidences are in the summary; 0: they are not
    """

    index: int
    text: str
    finish: Finish = Finish.OTHER
    prompt: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    completion_tokens: int | None = None
    summary: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    seconds: float | None = None
    failed: str | None = None
    answer_only: bool = False
    logprobs: Logprobs | None = None
    step_scores: Sequence[float | None] = ()
    language: str | None = None
    prefixes: Sequence[tuple[int, int]] = ()
    prefix: str = ""
    window: int = 0

    def serves(self, need: LogprobNeed) -> bool:
        """Whether what was recorded of its log-probabilities is what an operation needs."""
        if self.logprobs is not None and self.logprobs.k >= need.top:
            return True
        return not need.keep and (not need.window or self.grouped(need.window) is not None)

    def grouped(self, window: int) -> Mapping[str, float] | None:
        """The summary with the confidences of groups of `window` tokens; None where they were not recorded."""
        if self.window == window and "least_confidence" in self.summary:
            return self.summary
        # A sample that is no longer than the window is one group.
        if "token_confidence" in self.summary and self.completion_tokens is not None and self.completion_tokens <= window:
            return {**self.summary, **dict.fromkeys(GROUPED, self.summary["token_confidence"])}
        return None


def piece(sample: RecordedSample, request: Request) -> Piece:
    """All of it, or what a lower limit than the recorded one leaves of it."""
    tokens, most, need = sample.completion_tokens, request.sampling.max_tokens, request.logprobs
    if sample.failed is not None:
        return Piece("", Finish.OTHER, tokens, failed=sample.failed)
    meta: dict[str, object] = {"sample_index": sample.index}
    # The recorded summary is what was seen; arrays may have been rounded, and are given only where they are asked for.
    arrays = sample.logprobs if need is not None and (need.keep or need.window) else None
    if tokens is not None and tokens > most:
        # What it had said by then is known where a recorded prefix ends there; else the tokens are spent without an answer.
        end = next((end for end, count in sample.prefixes if count == most), 0)
        return Piece(sample.text[:end], Finish.LENGTH, most, _part(arrays, 0, most), meta=meta)
    kept: Mapping[str, Any] = {
        "score": sample.score,
        "step_scores": list(sample.step_scores) or None,
        "language": sample.language,
        "answer_only": sample.answer_only or None,
    }
    meta |= {name: value for name, value in kept.items() if value is not None}
    window = need.window if need is not None and arrays is None else 0
    summary = (sample.grouped(window) if window else None) or sample.summary
    return Piece(sample.text, sample.finish, tokens, arrays, summary, meta=meta)


async def stream(sample: RecordedSample, whole: Piece, request: Request, name: str) -> tuple[Piece, float]:
    """Reveal a sample prefix by prefix, each at its time, until `request.watch` has enough; what came of it, and its seconds.

    Without recorded prefixes its text is known at its end only. One that is cancelled first says how many tokens it had.

    Raises PoolMiss where a strategy looks at it on the way and no prefixes were recorded.
    """
    watch, total, counted = request.watch, whole.tokens or 0, whole.tokens is not None
    assert watch is not None
    if request.looked_at and not sample.prefixes:
        raise PoolMiss(f"{name} holds no prefixes of sample {sample.index}; record them (--every), or run this strategy live")
    pace = SECONDS_PER_TOKEN
    if sample.seconds is not None and sample.completion_tokens:
        pace = sample.seconds / sample.completion_tokens
    clock = asyncio.get_running_loop().time
    begun, said, spent = clock(), 0, 0
    for end, tokens in [*(mark for mark in sample.prefixes if 0 < mark[1] < total), (len(whole.text), total)]:
        try:
            await asyncio.sleep(max(0.0, begun + tokens * pace - clock()))
        except asyncio.CancelledError:
            watch(Delta("", min(tokens, round((clock() - begun) / pace)) - spent if pace else tokens - spent, exact=counted))
            raise
        enough = watch(Delta(sample.text[said:end], tokens - spent, _part(sample.logprobs, spent, tokens), counted))
        said, spent = max(said, end), tokens
        if enough and spent < total:
            left = replace(whole, text=sample.text[:said], finish=Finish.CANCELLED, tokens=spent, summary={})
            return replace(left, logprobs=_part(whole.logprobs, 0, spent)), spent * pace
    return whole, total * pace


def _part(logprobs: Logprobs | None, start: int, end: int) -> Logprobs | None:
    if logprobs is None:
        return None
    k = logprobs.k
    return Logprobs(logprobs.chosen[start:end], logprobs.top[start * k : end * k], k, logprobs.vocabulary)
