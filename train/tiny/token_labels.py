"""Labels of single tokens, exact: can the text that ends in this token still become a right answer? Nothing here knows models.

Right answers are those of the checker: a sum or product may be written either way round, the numbers that are left in any order,
and the last newline may be missing. Numbers are whole tokens: `1` is no beginning of `13`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outthink.tasks.countdown_solver import Numbers, after_line, moves, reachable
from train.tiny.vocabulary import END, NEWLINE, TOKENS


def alive(numbers: Numbers, target: int, answer: Iterable[int]) -> list[bool]:
    """One label per token of an answer, its end token too. A text that can't become right stays so."""
    left: Numbers | None = numbers
    pieces, found = list[str](), list[bool]()
    for token in answer:
        if left is None:
            found.append(False)
            continue
        if token == END:
            found.append(ended(left, pieces, target))
            left = None
            continue
        if token == NEWLINE:
            after = after_line(left, "".join(pieces))
            left, pieces = after if after is not None and target in reachable(after) else None, []
        else:
            pieces.append(TOKENS[token])
            left = left if begins_a_step(left, target, pieces) else None
        found.append(left is not None)
    return found


def ended(left: Numbers, pieces: Sequence[str], target: int) -> bool:
    """Whether an answer that ends after these pieces of a line is right."""
    return (after_line(left, "".join(pieces)) if pieces else left) == (target,)


def begins_a_step(left: Numbers, target: int, pieces: Sequence[str]) -> bool:
    """Whether pieces of a line begin a legal step from sorted numbers after which the target can still be reached."""
    for a, operator, b, value, after in moves(left):
        if target in reachable(after):
            for first, second in ((a, b), (b, a)) if operator in "+*" else ((a, b),):
                equation = [str(first), operator, str(second), "=", str(value)]
                if equation[: len(pieces)] == list(pieces[:5]) and begins_a_state(after, pieces[5:]):
                    return True
    return False


def begins_a_state(after: Numbers, pieces: Sequence[str]) -> bool:
    """Whether pieces begin to write these numbers, in any order: `,` before the first and a space before the others."""
    rest = list(map(str, after))
    for place, piece in enumerate(pieces):
        if place % 2:
            if piece not in rest:
                return False
            rest.remove(piece)
        elif not rest or piece != (" " if place else ","):
            return False
    return True
