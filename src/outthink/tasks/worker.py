"""Child processes for work that may never end: started when first needed, reused, killed at their limit, replaced.

A thread of our own waits for each child, so that the event loop never does and the loop's shared threads stay free.
Children are plain programs (`python -m`), not `multiprocessing`: that would run the user's script again. They get none of
our environment, where keys live. Nothing here knows mathematics.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from outthink.core.errors import InternalError

T = TypeVar("T")

_STARTING = 60.0  # seconds for imports on a busy machine


class WorkerDied(Exception):
    """The child passed a limit and is gone; the next request gets a new one."""


class _Child:
    """One process, used by one thread at a time."""

    def __init__(self, module: str, seconds: float) -> None:
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for us to handle
            encoding="utf-8",
        )
        try:
            self._receive(_STARTING)
        except WorkerDied:
            raise InternalError(f"the worker process {module} does not start; try: python -m {module} 1") from None

    def ask(self, request: list[str], seconds: float) -> Any:
        """The reply, or WorkerDied. `seconds` is wall time, a backstop to the child's own limit."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError:
            self.kill()
            raise WorkerDied from None
        return self._receive(seconds)

    def _receive(self, seconds: float) -> Any:
        assert self.process.stdout is not None
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.endswith("\n"):
            self.kill()
            raise WorkerDied
        return json.loads(line)

    def kill(self) -> None:
        """End the process and free its pipes. Safe to repeat."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unsent bytes
                    pipe.close()


class Workers:
    """At most `count` children that run `module`; each request may take `seconds` of processor time."""

    def __init__(self, module: str, *, seconds: float, count: int = 2) -> None:
        self.module, self.seconds, self.count = module, seconds, count
        self.deaths = 0
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._children: dict[int, _Child] = {}  # by thread
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="outthink-worker")
        # A thread of the executor holds no reference to us, so that this runs when we are dropped, and at exit.
        self._end = weakref.finalize(self, _end, self._children, self._threads)

    def close(self) -> None:
        """End all children; a later request starts new ones."""
        self._end()
        self._forget()

    def ask(self, *request: str) -> Any:
        """The child's reply to one request; raises WorkerDied where it passed a limit. Blocks: call it inside `run`."""
        children, thread = self._children, threading.get_ident()
        child = children.get(thread)
        if child is not None and child.process.poll() is not None:  # killed by others while idle: no fault of this request
            child.kill()
            child = None
        if child is None:
            child = children[thread] = _Child(self.module, self.seconds)
        try:
            return child.ask(list(request), 5 * self.seconds + 5)
        except WorkerDied:
            children.pop(thread, None)
            self.deaths += 1
            raise

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work`, which calls `ask`, in one of our threads. Outside an event loop it simply blocks."""
        if self._owner != os.getpid():  # a forked process has neither our threads nor a right to our children
            self._end.detach()
            self._forget()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return work()
        return await loop.run_in_executor(self._threads, work)


def _end(children: dict[int, _Child], threads: ThreadPoolExecutor) -> None:
    for child in list(children.values()):
        child.kill()
    children.clear()
    threads.shutdown(wait=False, cancel_futures=True)
