"""What an attempt cost: known where the backend said it, unknown where it did not, and never zero for unknown."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.backend import Completion, Piece
from outthink.core.budget import Prices, Usage
from outthink.runtime.ledger import Grant


def shares(completion: Completion, pieces: Sequence[Piece], grant: Grant, prices: Prices | None, seconds: float) -> list[Usage]:
    """What each piece cost: the prompt and the call go to the first, completion tokens to whom they belong.

    With no piece at all, one usage: that of the whole request. What was asked for and didn't come may have been generated all
    the same: without a count of the whole request it is unknown, and charged to the first too.
    """
    own = _completion_tokens(completion, pieces)
    missing = grant.ask.n - max(1, len(pieces)) if completion.completion_tokens is None else 0
    found = [_share(completion, bool(pieces) and pieces[0].failed is None, own[0], missing, grant, prices, seconds)]
    for piece, tokens in zip(pieces[1:], own[1:], strict=True):
        unknown = grant.max_tokens if tokens is None else 0
        usd = None if prices is None else prices.usd(0, 0, (tokens or 0) + unknown)
        found.append(Usage(int(piece.failed is None), completion_tokens=tokens or 0, unknown_completion_tokens=unknown, usd=usd))
    return found


def _share(
    completion: Completion,
    delivered: bool,
    tokens: int | None,
    missing: int,
    grant: Grant,
    prices: Prices | None,
    seconds: float,
) -> Usage:
    """What the first piece cost, and with it the request."""
    prompt, cached = completion.prompt_tokens or 0, completion.cached_tokens
    unknown_prompt = grant.ask.prompt if completion.prompt_tokens is None else 0
    unknown = grant.max_tokens * (missing + (tokens is None))
    known = tokens or 0
    usd = None if prices is None else prices.usd(prompt + unknown_prompt, cached, known + unknown)
    return Usage(int(delivered), 1, prompt, cached, known, completion.reasoning_tokens, unknown_prompt, unknown, usd, seconds)


def _completion_tokens(completion: Completion, pieces: Sequence[Piece]) -> list[int | None]:
    """Completion tokens of each piece. The request total is what is billed: what the pieces do not explain goes to the first."""
    total = completion.completion_tokens
    if total is None:
        return [piece.tokens for piece in pieces] or [None]
    if len(pieces) < 2:
        return [total]
    counted = [piece.tokens for piece in pieces]
    if None in counted:
        each, rest = divmod(total, len(pieces))
        return [each + rest, *[each] * (len(pieces) - 1)]
    rest = total - sum(tokens or 0 for tokens in counted)
    return [max(0, (tokens or 0) + (rest if i == 0 else 0)) for i, tokens in enumerate(counted)]


def lost(grant: Grant, prompt: int | None, completion: int, *, exact: bool, prices: Prices | None) -> Usage:
    """The account of an attempt that broke or was left.

    prompt:     tokens it took, or None where only their upper bound is known
    completion: tokens that arrived
    exact:      we left a stream that counts its tokens: what the server generated after that can't have been much; else the
                rest is unknown
    """
    unknown = 0 if exact else max(0, grant.ask.n * grant.max_tokens - completion)
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
