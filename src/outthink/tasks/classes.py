"""Equivalence classes of answers: the one rule that all tasks share. No knowledge of any task, no I/O.

1. An answer with a canonical key belongs to the class of that key, whatever the order of arrival.
2. Otherwise, or if that class doesn't exist yet, it is compared with the first member of each class, oldest first, and joins
   the first that it equals. First members are the only ones compared with, because equality need not be transitive
   (50% = 0.5 and 50% = 50): chains of near-equals never merge two classes that differ. What remains order-dependent is
   only which class an answer joins that equals two of them.
3. Otherwise it founds a class, named by its canonical key, or by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Classes:
    """The classes met so far in one run, oldest first.

    known: names of the classes met earlier
    key:   the canonical form of an answer, or None where it has none
    equal: equality of two answers where keys can't say; None where keys always can
    """

    def __init__(
        self,
        known: Iterable[str],
        *,
        key: Callable[[str], str | None],
        equal: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._key, self._equal = key, equal
        self._names: list[str] = []
        self._named: dict[str, str] = {}
        for name in known:
            self._add(name, key(name) if equal else name)

    def _add(self, name: str, key: str | None) -> None:
        self._names.append(name)
        self._named.setdefault(name, name)
        if key is not None:
            self._named.setdefault(key, name)

    def of(self, answer: str) -> str:
        """The name of the answer's class, which is added if it is new."""
        key = self._key(answer)
        name = self._named.get(answer if key is None else key)
        if name is not None:
            return name
        if self._equal is not None:
            for name in self._names:
                if self._equal(name, answer):
                    return name
        name = answer if key is None else key
        self._add(name, key)
        return name
