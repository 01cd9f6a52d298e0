"""One loaded model: llama.cpp's server core, one thread per slot, and the inner pages that tokenise and render.

Prompts, samples and the event loop must not live here. The core opens a port on the loopback address for its pages; a random
key, which never leaves this process, keeps others out.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from outthink.backends.llamacpp.wire import failure_of
from outthink.backends.weights import has_chat_template
from outthink.core.errors import BadInput, InternalError, Lost, MissingExtra, Refused
from outthink.core.thinking import marks_in

__all__ = ["Engine", "Facts", "load_library", "usable_cpus"]

T = TypeVar("T")
BATCH = 512
"""Most prompt tokens computed in one go, which nothing can interrupt: about two seconds of a small model on two cores."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a loaded model says of itself. context: most tokens of one slot; end: its end-of-text token, if it has a text;
    thinking: the marks of its thinking block, if its template has one."""

    context: int
    vocabulary: int
    chat: bool
    end: str
    thinking: tuple[str, str] | None = None


class Engine:
    """A loaded model; loading blocks. Raises BadInput where the file can't be loaded, MissingExtra without xllamacpp.

    slots:   samples generated at once, each on its own thread and with its own `context` tokens
    threads: that compute, shared by all slots
    precise: keep keys and values in float32 and compute attention plainly: slower, and as near to the weights as it gets
    """

    def __init__(self, path: Path, *, slots: int, context: int, threads: int, precise: bool = False) -> None:
        library = load_library()
        self._key = secrets.token_urlsafe(32)
        params = library.CommonParams()
        params.model.path = str(path)
        # One KV buffer per slot. In a unified one, the sample that fills it up takes all others down with it.
        params.n_parallel, params.n_ctx, params.kv_unified = slots, slots * context, False
        params.n_batch = BATCH
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = 0  # slots keep their last prompt; a second copy in memory bought nothing
        if precise:
            params.cache_type_k = params.cache_type_v = library.ggml_type.GGML_TYPE_F32
            params.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.verbosity = -1
        params.api_keys = [self._key]
        params.ui = False
        try:
            self._core: Any = library.Server(params)
        except RuntimeError:
            raise BadInput(
                f"llama.cpp can't load this model ({slots} slots of {context} tokens): the file is damaged, its architecture "
                "is unknown to this version, or memory is short",
                where=str(path),
            ) from None
        self._address = self._core.listening_address.partition("//")[2]
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="llamacpp-slot")
        self.closing = False
        try:
            self.facts = self._ask(has_chat_template(path))
            # Any page that its worker answers: a core that is freed before its worker has begun waits for it for ever.
            self.page("/lora-adapters")
        except BaseException:
            self.close()
            raise

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` on a slot's thread once one is free. Raises Refused once `close` has begun."""
        if self.closing:
            raise Refused("the model is being closed")
        return self._threads.submit(work)

    def generate(self, body: bytes, take: Callable[[bytes], bool]) -> None:
        """Generate on the calling thread. `take` gets each chunk; True frees the slot. What it raises is raised here.

        Raises Lost where the core fails.
        """
        raised: list[BaseException] = []

        def guarded(chunk: bytes) -> bool:
            try:
                return self.closing or take(chunk)
            except BaseException as error:  # noqa: BLE001  # the core would swallow it
                raised.append(error)
                return True

        try:
            self._core.handle_completions(body, guarded)
        except RuntimeError as error:
            raise Lost(f"llama.cpp failed: {str(error)[:500]}") from None
        if raised:
            raise raised[0]

    def page(self, path: str, payload: object = None) -> Any:
        """One of the core's inner pages: sent `payload` where there is one. Raises BackendError."""
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            body = None if payload is None else json.dumps(payload)
            connection.request("GET" if payload is None else "POST", path, body, headers)
            reply = connection.getresponse()
            found = json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Refused(f"llama.cpp's page {path} gave no answer: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if reply.status != 200:
            raise failure_of(found.get("error", {"code": reply.status, "message": reply.reason}))
        return found

    def close(self) -> None:
        """Leave what still runs, and free threads and model; blocks. Closing twice changes nothing."""
        self.closing = True
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._core = None

    def _ask(self, chat: bool) -> Facts:
        props, models = self.page("/props"), self.page("/v1/models")
        try:
            return Facts(
                context=int(props["default_generation_settings"]["n_ctx"]),
                vocabulary=int(models["data"][0]["meta"]["n_vocab"]),
                chat=chat,  # without a template of its own, the core would make one up
                end=str(props.get("eos_token") or ""),
                thinking=marks_in(str(props.get("chat_template") or ""), self._opened_turn()) if chat else None,
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InternalError(f"this version of xllamacpp describes its model in another way: {error!r}") from None

    def _opened_turn(self) -> str:
        """What the model sees up to where its answer begins."""
        turn = {"role": "user", "content": "?"}
        return str(self.page("/apply-template", {"messages": [turn], "add_generation_prompt": True})["prompt"])


def load_library() -> Any:
    """The module xllamacpp. Raises MissingExtra."""
    # OpenMP reads this once, when it is loaded. Its default, spinning at every barrier, makes generation several times slower
    # as soon as anything else, such as our own event loop, wants a core.
    with _environment("GOMP_SPINCOUNT", "1000"):
        try:
            import xllamacpp
        except ImportError:
            raise MissingExtra("running a model in this process", "embedded") from None
    return xllamacpp


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable that the user didn't set, for as long as the block runs."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def usable_cpus() -> int:
    """Processors that this process may use: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # not in a container, or without a quota ("max")
        return count
