"""What an attempt cost: known where the backend said it, unknown where it did not, and never zero for unknown."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.backend import Completion, Piece
from outthink.core.budget import Prices, Usage
from outthink.runtime.ledger import Grant


def shares(completion: Completion, pieces: Sequence[Piece], grant: Grant, prices: Prices | None, seconds: float) -> list[Usage]:
    """What each piece cost: the prompt and the call go to the first, completion tokens to whom they belong.

    With no piece at all, one usage: that of the whole request.
    """
    count = max(1, len(pieces))
    own = _completion_tokens(completion, pieces, count)
    found: list[Usage] = []
    for i, tokens in enumerate(own):
        first = i == 0
        prompt = completion.prompt_tokens if first else 0
        cached = completion.cached_tokens if first else 0
        unknown_prompt = grant.ask.prompt if prompt is None else 0
        unknown = grant.max_tokens if tokens is None else 0
        paid = (prompt or 0) + unknown_prompt, cached, (tokens or 0) + unknown
        found.append(
            Usage(
                int(i < len(pieces) and pieces[i].failed is None),
                int(first),
                prompt or 0,
                cached,
                tokens or 0,
                completion.reasoning_tokens if first else 0,
                unknown_prompt,
                unknown,
                None if prices is None else prices.usd(*paid),
                seconds if first else 0.0,
            )
        )
    return found


def _completion_tokens(completion: Completion, pieces: Sequence[Piece], count: int) -> list[int | None]:
    """Completion tokens of each piece. The request total is what is billed: what the pieces do not explain goes to the first."""
    total = completion.completion_tokens
    counted = [piece.tokens for piece in pieces] or [None]
    if total is None:
        return counted
    if None in counted:
        return [total // count + (total % count if i == 0 else 0) for i in range(count)]
    rest = total - sum(tokens or 0 for tokens in counted)
    return [max(0, (tokens or 0) + (rest if i == 0 else 0)) for i, tokens in enumerate(counted)]


def lost(grant: Grant, prompt: int | None, completion: int, *, left: bool, prices: Prices | None) -> Usage:
    """The account of an attempt that broke or was left.

    prompt:     tokens it took, or None where only their upper bound is known
    completion: tokens that arrived
    left:       we left the stream: what the server generated after that can't have been much; else the rest is unknown
    """
    unknown = 0 if left else max(0, grant.ask.n * grant.max_tokens - completion)
    unknown_prompt = grant.ask.prompt if prompt is None else 0
    paid = (prompt or 0) + unknown_prompt, 0, completion + unknown
    return Usage(
        calls=1,
        prompt_tokens=prompt or 0,
        completion_tokens=completion,
        unknown_prompt_tokens=unknown_prompt,
        unknown_completion_tokens=unknown,
        usd=None if prices is None else prices.usd(*paid),
    )
