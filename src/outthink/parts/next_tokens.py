"""What a model says of its next token: the nucleus of its alternatives, and rewards read from log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from outthink.core.errors import BadInput, shortly
from outthink.core.sample import Sample


def alternatives(sample: Sample) -> dict[str, float]:
    """Log-probability by text, likeliest first; empty where the backend named none (see `LogprobNeed.first`)."""
    first = sample.meta.get("first_token")
    found = first if isinstance(first, Mapping) else {}
    return dict(sorted(((str(token), float(value)) for token, value in found.items()), key=lambda pair: -pair[1]))


def nucleus(sample: Sample, top_p: float, forbidden: Collection[str] = ()) -> list[str]:
    """The tokens before which less than `top_p` of the mass of the allowed ones is gathered, likeliest first."""
    allowed = {token: math.exp(value) for token, value in alternatives(sample).items() if token not in forbidden}
    total, gathered, found = math.fsum(allowed.values()), 0.0, list[str]()
    for token, mass in allowed.items():
        if gathered >= top_p * total:
            break
        found.append(token)
        gathered += mass
    return found


def rewards(sample: Sample, reference: str) -> dict[str, float]:
    """Rewards by token, up to what the `reference` token is worth: its own is 0.

    Raises BadInput where the reward model didn't name it: without it, rewards of different texts can't be compared.
    """
    found = alternatives(sample)
    if reference not in found:
        raise BadInput(
            f"gives no value for the token {shortly(reference)}, which `reference` says is always worth 0: bind a multifurcation "
            "reward model such as tiny-rewards, ask for more tokens by `rewarded`, or give its own `reference`",
            where="role mrm",
        )
    return {token: value - found[reference] for token, value in found.items() if token != reference}
