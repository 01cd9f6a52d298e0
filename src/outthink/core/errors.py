"""Every error that Outthink raises on purpose, split by who has to act.

    OutthinkError
    ├── UsageError              you: change a flag, a file or a line of code
    │   ├── BadInput            a value, file or row that can't be used
    │   ├── UnknownName         a strategy, task, verifier, field ... that doesn't exist
    │   ├── MissingExtra        an optional dependency is not installed
    │   ├── MissingRole         a strategy needs a role that nothing is bound to
    │   ├── Unsupported         the backend can't do what the strategy needs
    │   ├── OracleRefused       gold answers would reach a strategy that a user could not give them to
    │   ├── ForeignAwait        a strategy awaited something that is not an operation
    │   ├── PoolMiss            a replay asked for something that was never recorded
    │   ├── PredictionRefused   a law can't answer for a spend so far from what was measured, or was fitted to too little
    │   └── JournalError
    │       ├── JournalLocked   another process is writing this journal
    │       ├── JournalMismatch the journal belongs to another run
    │       └── JournalDamaged  the file is no journal, or is broken
    ├── BackendError            the remote side
    │   ├── Refused             turned away before it generated: costs one call, no tokens
    │   │   └── Unreachable     no connection at any attempt, for nobody: nothing more is asked for
    │   ├── Lost                sent, then broken: what arrived is charged, the rest is unknown
    │   └── Permanent           will fail the same way again: never retried
    ├── RunError                one run could not answer
    │   ├── QuorumNotMet        too few samples survived
    │   └── NoAnswer            samples arrived, but none holds a valid answer
    └── InternalError           us: please report it

    Cut (BaseException)         the run must end now; a broad handler can't swallow it
    ├── BudgetCut               a budget is spent: names the scope and the dimension
    └── Cancelled               the user or a parent run left

Only the errors themselves live here; what to do about them is decided where they are caught.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outthink.core.sample import Sample


MOST_SHOWN = 100
"""Characters of a value that a message shows."""


def shortly(value: object) -> str:
    """A value that somebody gave, for a message: no longer than a line, and never an error of its own."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  # a whole number of thousands of digits, or any object's own
        text = f"a value that can't be shown ({type(error).__name__})"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


class OutthinkError(Exception):
    """Base of every error that Outthink raises on purpose. The message is a sentence that says what to change."""


class UsageError(OutthinkError):
    """You can mend this: a flag, a file, or a line of code."""


class BadInput(UsageError, ValueError):
    """A value, file or row that can't be used. `where` names the place (a flag, or file and line)."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class UnknownName(UsageError, LookupError):
    """A name that nothing answers to; the message offers the nearest ones."""

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        choices = sorted(known)
        near = difflib.get_close_matches(name[:MOST_SHOWN], choices, n=3, cutoff=0.5) if isinstance(name, str) else []
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices) or 'none'}"
        super().__init__(f"no {kind} is called {shortly(name)}; {hint}")
        self.kind, self.name, self.known = kind, name, tuple(choices)


class MissingExtra(UsageError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional dependency: pip install 'outthink[{extra}]'")
        self.extra = extra


class MissingRole(UsageError):
    """A strategy needs a role that nothing is bound to."""

    def __init__(self, who: str, role: str) -> None:
        role = role[:MOST_SHOWN]
        if role == "verifier":
            how = 'verifier="NAME" (on the command line --verifier NAME)'
        else:
            how = f'roles={{"{role}": ...}} (on the command line --role {role}=MODEL, or =package.module:object)'
        super().__init__(f"{who} needs the role {role!r}; bind it by {how}")
        self.who, self.role = who, role


class Unsupported(UsageError):
    """The backend can't do what was asked; the message says which backend or flag would do.

    setting: the sampling setting that it can't be told, or ""
    """

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class OracleRefused(UsageError):
    """Gold answers would reach a strategy that a user could not give them to."""


class ForeignAwait(UsageError, TypeError):
    """A strategy awaited something that is not an operation; the message names the line."""


class PoolMiss(UsageError):
    """A replay asked for something that was never recorded."""


class PredictionRefused(UsageError):
    """A law can't answer: too far from what was measured, or its parameters can't be told apart. The message says which."""


class JournalError(UsageError):
    """A journal that can't be used."""


class JournalLocked(JournalError):
    """Another process is writing this journal."""


class JournalMismatch(JournalError):
    """The journal belongs to another run. `field` names what differs."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class JournalDamaged(JournalError):
    """The file is no journal of ours, or is broken."""


class BackendError(OutthinkError):
    """The remote side failed.

    status:      HTTP status, or None where there was none
    retryable:   another attempt may succeed
    hopeless:    every other request would fail too: the user is told at once, and a journal can be resumed later
    retry_after: seconds the server asked us to wait, or None
    """

    retryable = True
    hopeless = False

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class Refused(BackendError):
    """Turned away before anything was generated (429, no connection, ...): one call, no tokens.

    overloaded: the server said that it has too much to do (429, 503), so that issuing must slow down
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, overloaded: bool = False
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.overloaded = overloaded


class Unreachable(Refused):
    """No attempt at a sample met anybody, and nobody else was answered meanwhile: the server is gone."""

    retryable = False
    hopeless = True


class Lost(BackendError):
    """Sent, then broken (timeout, disconnect, unreadable body): what arrived is charged, the rest stays unknown.

    prompt_tokens, completion_tokens: what is known to have been spent, or None where nothing is known
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.prompt_tokens, self.completion_tokens = prompt_tokens, completion_tokens


class Permanent(BackendError):
    """Will fail the same way again (bad request, no such model, bad key): never retried. Costs one call, no tokens."""

    retryable = False

    @property
    def hopeless(self) -> bool:  # type: ignore[override]  # it follows from the status
        """Whether it is a bad key, forbidden, or no such model."""
        return self.status in (401, 403, 404)


class RunError(OutthinkError):
    """One run could not answer; other problems go on."""


class QuorumNotMet(RunError):
    """Too few samples survived. `samples` are the paid ones, `failed` the reasons of the others."""

    def __init__(self, quorum: int, samples: Sequence[Sample], failed: Sequence[str]) -> None:
        reasons = "; ".join(dict.fromkeys(failed)) or "none was asked for"
        super().__init__(f"{len(samples)} samples arrived and {quorum} are needed; {len(failed)} failed: {reasons}")
        self.quorum, self.samples, self.failed = quorum, tuple(samples), tuple(failed)


class NoAnswer(RunError):
    """Samples arrived, but none holds a valid answer."""


class InternalError(OutthinkError):
    """A bug of ours: please report it."""


class Cut(BaseException):
    """The run must end now. A BaseException, so that a broad handler in a strategy can't swallow it."""


class BudgetCut(Cut):
    """A budget is spent.

    scope:     which one, in words ("dataset", "problem", "child run 0.2")
    dimension: what ran out
    path:      the child run whose budget it is, or None where it is the whole run's or wider
    """

    def __init__(self, scope: str, dimension: str, detail: str = "", *, path: tuple[int, ...] | None = None) -> None:
        super().__init__(f"the {scope} budget of {dimension.replace('_', ' ')} is spent" + (f": {detail}" if detail else ""))
        self.scope, self.dimension, self.detail, self.path = scope, dimension, detail, path


class Cancelled(Cut):
    """The user, a parent run or the end of the program left this run."""
