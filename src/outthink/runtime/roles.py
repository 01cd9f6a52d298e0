"""Answers Invoke: the task's own methods, the grader behind its guard, and roles that a user bound."""

from __future__ import annotations

import inspect
import json
from typing import Any, Protocol

from outthink.core.errors import BadInput, Lost, MissingRole, OracleRefused, OutthinkError
from outthink.core.operation import Invoke
from outthink.core.problem import Problem
from outthink.runtime.books import Books
from outthink.runtime.clock import real_time
from outthink.runtime.rows import clean
from outthink.runtime.spec import Bindings

OWN_ROLES = ("task", "grader")
"""Roles that are the task's: they ask nobody, so that what they say costs nothing."""
_BOUND = {"generator": "model (--model)", "verifier": "verifier (--verifier)", **dict.fromkeys(OWN_ROLES, "the task's")}


def require_further(role: str, where: str) -> None:
    """Raise BadInput for a role that isn't given away: what plays it is said elsewhere."""
    if role in _BOUND:
        raise BadInput(f"is no role to give away: that is {_BOUND[role]}; judge, prm and the like are", where=where)


class Invoker(Protocol):
    """What is known here of the run. `who` names the strategy in messages."""

    who: str
    problem: Problem
    bindings: Bindings
    books: Books


async def answer_invoke(run: Invoker, operation: Invoke) -> Any:
    """The JSON that a role's method gives.

    Raises MissingRole, OracleRefused, BadInput for a method that isn't there, Lost where a user's role failed, and BudgetCut
    at the deadline (the task's own methods are limited in time by the task, and work after it: votes must still be counted).
    """
    payload, task = operation.payload, run.bindings.task
    match operation.role, operation.method:
        case "task", "answers":
            with real_time():
                found = await task.answers(run.problem.without_gold(), payload["texts"], payload["known"])
            return [[answer.text, answer.answer_class] for answer in found]
        case "task", "value":
            value = getattr(task, "value", None)
            if value is None:
                raise BadInput("can't say whether an answer so far can still become right", where=f"task {task.name}")
            return [value(run.problem.without_gold(), text) for text in payload["texts"]]
        case "grader", "grade":
            if not run.bindings.oracle:
                raise OracleRefused("grading looks at the gold answer, which a user doesn't have; it is for `eval` only")
            if run.problem.gold is None:
                raise BadInput("has no gold answer to grade by", where=f"problem {run.problem.id}")
            with real_time():
                return await task.grade(run.problem, payload["answers"])
    role = run.bindings.others.get(operation.role)
    if role is None:
        raise MissingRole(run.who, operation.role)
    method = getattr(role, operation.method, None)
    if operation.method.startswith("_") or not inspect.iscoroutinefunction(method):
        raise BadInput(f"has no async method {operation.method!r}", where=f"role {operation.role}")
    try:
        async with run.books.timed(operation.key.path):
            return plain(await method(**payload))
    except OutthinkError:
        raise
    except Exception as error:
        raise Lost(f"role {operation.role} failed: {type(error).__name__}: {error}") from error


def plain(value: Any) -> Any:
    """The value as a journal gives it back, so that a strategy sees the same before and after a resume (no tuples, no sets)."""
    return json.loads(clean(json.dumps(value, ensure_ascii=False)))
