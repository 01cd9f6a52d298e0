"""Tasks: what to ask, which answer a text states, which answers are equivalent, which are right.

`load` finds a built-in task by name, or anybody's by `package.module:object`. A task of your own is a few lines on top of
`SimpleTask`. Nothing here knows backends, strategies or files.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import cache

from outthink.core.errors import BadInput, UnknownName
from outthink.core.task import INVALID, Answer, Task
from outthink.tasks.custom import SimpleTask, normalised

__all__ = ["INVALID", "Answer", "SimpleTask", "Task", "load", "names", "normalised"]

_BUILT_IN = {
    "arithmetic": "outthink.tasks.arithmetic:ArithmeticTask",
    "calc": "outthink.tasks.calc:CalcTask",
    "choice": "outthink.tasks.choice:ChoiceTask",
    "countdown": "outthink.tasks.countdown:CountdownTask",
    "countdown_search": "outthink.tasks.countdown:CountdownSearchTask",
    "exact": "outthink.tasks.exact:ExactTask",
    "math": "outthink.tasks.math:MathTask",
    "text": "outthink.tasks.text:TextTask",
}


def names() -> list[str]:
    """Names of the built-in tasks, sorted."""
    return sorted(_BUILT_IN)


def load(task: str | Task) -> Task:
    """The task that is meant: a task itself, a built-in name, or `package.module:object`, where the object is a task, or a
    class or function without arguments that makes one. Modules in the working directory are found too.

    The same built-in name gives the same object, so that the child processes of `math` are shared.
    Raises UnknownName, or BadInput where the object can't be had or is no task.
    """
    if not isinstance(task, str):
        if isinstance(task, type) or not isinstance(task, Task):
            raise BadInput(f"{task!r} is not a task: it needs name, sampling, prompt, answers and grade", where="task")
        return task
    if task in _BUILT_IN:
        return _made(task)
    if ":" not in task:
        raise UnknownName("task", task, [*names(), "package.module:object"])
    return _load(task)


@cache
def _made(name: str) -> Task:
    return _load(_BUILT_IN[name])


def _load(path: str) -> Task:
    module_name, _, attributes = path.partition(":")
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        found: object = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
        if isinstance(found, type) or (callable(found) and not isinstance(found, Task)):
            found = found()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"{path!r} can't be loaded: {error}", where="task") from error
    finally:
        if added:
            sys.path.remove(here)
    return load(found) if isinstance(found, Task) else _refuse(path, found)


def _refuse(path: str, found: object) -> Task:
    raise BadInput(
        f"{path!r} is a {type(found).__name__}, not a task: it needs name, sampling, prompt, answers and grade", where="task"
    )
