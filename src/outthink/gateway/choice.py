"""How a strategy is spelt in one line: `majority:16`, `best_of_n:8,quorum=4`, `majority:20k tokens`.

Only the spelling lives here; where it may stand in a request, and other systems' spellings, are `choosing`'s and `aliases`'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink.core.budget import Budget
from outthink.core.errors import BadInput
from outthink.core.strategy import Strategy
from outthink.gateway import known
from outthink.gateway.body import strict

LONGEST = 400
MOST_SAMPLES = 4096
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy and how much it may do; what is None or empty is left to others to say.

    n:        samples: the strategy's parameter `n` where it has one, else a budget of so many samples
    budget:   further limits
    verifier: what scores its samples; "" is the model's own
    """

    strategy: Strategy | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    n: int | None = None
    budget: Budget | None = None
    verifier: str = ""


def read_choice(text: str, where: str = "strategy") -> Choice:
    """From `strategy`, or `strategy:part,part` where a part is a number of samples, `parameter=value` (JSON, or a text), or a
    limit such as `20k tokens`, `30s`, `$0.10` (underscores stand for spaces).

    Raises UnknownName, BadInput.
    """
    if len(text) > LONGEST:
        raise BadInput(f"is longer than {LONGEST} characters", where=where)
    name, _, rest = text.strip().partition(":")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise BadInput(f"{name!r} is no strategy's name; write for example majority:16", where=where)
    strategy = known.strategy(name)
    parameters: dict[str, Any] = {}
    limits: list[str] = []
    n: int | None = None
    for part in rest.split(",") if rest else ():
        part = part.strip()
        if found := _SETTING.fullmatch(part):
            parameters[found[1].replace("-", "_")] = _value(found[2])
        elif part.isdecimal() and part.isascii():
            if n is not None:
                raise BadInput(f"{text!r} gives the number of samples twice", where=where)
            n = samples_of(int(part[:9]), where)
        else:
            limits.append(part.replace("_", " "))
    strategy.bound(parameters)
    return Choice(strategy, parameters, n, useful(Budget.parse(",".join(limits))) if limits else None)


def useful(budget: Budget) -> Budget:
    """The budget, if it admits anything. Raises BadInput: whoever asks for an answer and gives nothing for it is mistaken."""
    if budget.empty:
        raise BadInput(f"{budget} admits nothing at all; every limit must be above 0", where="budget")
    return budget


def samples_of(value: object, where: str) -> int:
    """A number of samples. Raises BadInput."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SAMPLES:
        raise BadInput(f"{value!r} is no number of samples; it must be a whole number from 1 to {MOST_SAMPLES}", where=where)
    return value


def _value(text: str) -> Any:
    try:
        return strict(text)
    except (ValueError, RecursionError):
        return text
