"""The child process in which `math-verify` runs; started by `outthink.tasks.worker`, never imported by the rest.

Reads one JSON request a line from its standard input and writes one JSON line for each. It expects hostile text: every
request has a limit of processor time enforced by the kernel (a power tower spends its time inside one C call, which no
Python signal handler can interrupt) and the whole process has a limit of memory. Past either it dies, and the parent
starts another. It also ends when its input does, so that it never outlives the parent.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import lru_cache
from typing import Any

MEMORY = 2 * 1024**3
"""Bytes of address space."""


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """Arm (or with 0 disarm) the kernel's timer of processor time; its signal ends the process."""
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _engine() -> Any:
    """extract(text), equal(gold, answer) and the symmetric same(one, other), in a fresh interpreter."""
    logging.disable(logging.CRITICAL)
    import math_verify
    from math_verify import ExprExtractionConfig, LatexExtractionConfig

    anchored = [LatexExtractionConfig(try_extract_without_anchor=False), ExprExtractionConfig(False)]

    @lru_cache(maxsize=2048)
    def parsed(text: str) -> list[Any]:
        return list(math_verify.parse(f"\\boxed{{{text}}}", parsing_timeout=None))

    def extract(text: str) -> str | None:
        found = math_verify.parse(text, anchored, parsing_timeout=None)
        return next((part for part in found if isinstance(part, str) and part.strip()), None)

    def equal(gold: str, answer: str) -> bool:
        one, other = parsed(gold), parsed(answer)
        if one and other and _far_apart(one[0], other[0]):
            return False
        return bool(math_verify.verify(one, other, timeout_seconds=None))

    def same(one: str, other: str) -> bool:
        return equal(one, other) or equal(other, one)

    return {"extract": extract, "equal": equal, "same": same}


def _far_apart(one: Any, other: Any) -> bool:
    """Whether two expressions differ at one point far beyond any rounding: most unequal pairs, without the cost of
    simplifying their difference. Only for plain expressions; single symbols and percentages have rules of their own."""
    from sympy import Expr, Rational, Symbol, UnevaluatedExpr

    for part in (one, other):
        if not isinstance(part, Expr) or isinstance(part, Symbol) or part.has(UnevaluatedExpr):
            return False
    symbols = sorted(one.free_symbols | other.free_symbols, key=str)
    point = {symbol: Rational(37 + 16 * i, 29 + 6 * i) for i, symbol in enumerate(symbols)}
    try:
        here, there = complex(one.subs(point).evalf(15)), complex(other.subs(point).evalf(15))
    except (TypeError, ValueError, ArithmeticError):
        return False
    return abs(here - there) > 1e-3 * (1 + abs(here))


def main() -> None:
    """Serve until the input ends. The first argument is the limit of processor time of one request, in seconds."""
    seconds = float(sys.argv[1])
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be read as a reply
    _limit_memory()
    engine = _engine()
    replies.write('"ready"\n')
    replies.flush()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        _limit_time(seconds)
        try:
            reply = engine[name](*arguments)
        except MemoryError:
            os._exit(1)
        except Exception:  # noqa: BLE001  whatever a parser raises for odd text, the text is not understood
            reply = None
        _limit_time(0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
