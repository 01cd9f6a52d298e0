"""The backend itself: one attempt per call. Slot threads do the work; the event loop gets finished values and deltas."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from pathlib import Path

from outthink.backends.delivery import Delivery
from outthink.backends.llamacpp.engine import Engine, usable_cpus
from outthink.backends.llamacpp.wire import ENDS, Reply, body_of
from outthink.backends.weights import EMBEDDED, model_file
from outthink.core.backend import Completion, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BackendError, BadInput, InternalError, Lost, Permanent, Refused, Unsupported
from outthink.core.prompt import Message, Prompt

__all__ = ["LlamaCppBackend"]

MOST_LOGPROBS = 100
MOST_THREADS = 8
KEPT_PROMPTS = 1024
TEMPLATE_TOKENS = 64
"""Most tokens that a template is taken to add to a message, where it can't be asked."""


class LlamaCppBackend:
    """A GGUF model in this process.

    model:      'embedded', a path, or 'hf:owner/repository/file.gguf[@revision]'
    slots:      samples generated at once
    context:    most prompt plus completion tokens of one sample
    threads:    that compute; None: one per processor that this process may use, but 8 at most: small models gain no more
    repeatable: the same seed gives the same text. Costs most of the speed: one slot, and every prompt computed anew, because
                what is computed together changes the last bits of every number
    note:       called with a sentence before a model is downloaded

    Raises BadInput for numbers below 1.
    """

    def __init__(
        self,
        model: str | Path = "embedded",
        *,
        slots: int = 4,
        context: int = 2048,
        threads: int | None = None,
        repeatable: bool = False,
        prices: Prices | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        for name, value in (("slots", slots), ("context", context), ("threads", 1 if threads is None else threads)):
            if value < 1:
                raise BadInput(f"is {value} and must be at least 1", where=name)
        self.model, self.prices, self.repeatable = str(model), prices, repeatable
        file = EMBEDDED.name if self.model == "embedded" else self.model.partition("@")[0].rpartition("/")[2]
        self.name = f"llamacpp:{file.removesuffix('.gguf')}"
        self._slots, self._context, self._threads = (
            1 if repeatable else slots,
            context,
            threads or min(usable_cpus(), MOST_THREADS),
        )
        self._note = note
        self._engine: Engine | None = None
        self._ends: tuple[str, ...] = ENDS
        self._templated = functools.lru_cache(KEPT_PROMPTS)(self._apply_template)
        self._counted = functools.lru_cache(KEPT_PROMPTS)(self._count)

    def __repr__(self) -> str:
        return f"LlamaCppBackend({self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What this engine does; `chat`, `context` and `vocabulary` are the model's own once it is open."""
        facts = None if self._engine is None else self._engine.facts
        return Capabilities(
            chat=facts is None or facts.chat,
            raw=True,
            seed=self.repeatable,
            logprobs=MOST_LOGPROBS,
            prefix=True,
            stream=True,
            cancel=True,
            counts=True,
            slots=self._slots,
            context=self._context if facts is None else facts.context,
            vocabulary=0 if facts is None else facts.vocabulary,
            thinking=None if facts is None else facts.thinking,
        )

    async def open(self) -> None:
        """Fetch the file where it isn't here yet, and load it. Raises BadInput, MissingExtra, Refused."""
        self._engine = await asyncio.to_thread(self._load)
        end = self._engine.facts.end
        self._ends = (end, *(text for text in ENDS if text != end)) if end else ENDS

    async def close(self) -> None:
        """Leave what still runs and free the model and its threads."""
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)
            self._engine = None

    async def complete(self, request: Request) -> Completion:
        """One attempt; see `outthink.core.backend.Backend`. Being cancelled frees the slot within one decoding step."""
        engine = self._opened()
        if len(request.seeds) != 1:
            raise Unsupported(f"{self.name} takes one sample per request and was asked for {len(request.seeds)}")
        delivery = Delivery(request.watch, asyncio.get_running_loop())
        try:
            completion = await asyncio.wrap_future(engine.submit(_Attempt(self, engine, request, delivery).run))
            delivery.deliver()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # nobody left this task: the engine dropped what was waiting
                raise Refused(f"{self.name} was closed before a slot was free") from None
            raise
        finally:
            delivery.left = True
        if delivery.failed is not None:
            raise delivery.failed
        return completion

    def prompt_bound(self, prompt: Prompt) -> int:
        """The very number of tokens, by the model's own template and tokenizer."""
        try:
            return self._counted(self.rendered(prompt))
        except BackendError:  # it will be refused when it is sent; until then no tokenizer makes more tokens than bytes
            plain = "".join(message.content for message in prompt.messages) + (prompt.text or "") + prompt.prefix
            return len(plain.encode("utf-8", "replace")) + TEMPLATE_TOKENS * len(prompt.messages)

    def rendered(self, prompt: Prompt) -> str:
        """The text the model sees: its own chat template, then an open assistant turn that holds the prefix; blocks.

        Raises Permanent for a chat with a model that has no template.
        """
        return (self._templated(prompt.messages) if prompt.text is None else prompt.text) + prompt.prefix

    def body(self, request: Request) -> bytes:
        """The engine's request; blocks while the template is applied."""
        context = self._opened().facts.context
        return body_of(request, self.rendered(request.prompt), self._ends, context=context, cache=not self.repeatable)

    def reply(self, request: Request) -> Reply:
        """An empty reply to this request."""
        return Reply(request.logprobs, bool(request.sampling.stop), self.capabilities.vocabulary, self._ends)

    def _load(self) -> Engine:
        path = model_file(self.model, self._note)
        return Engine(path, slots=self._slots, context=self._context, threads=self._threads)

    def _apply_template(self, messages: tuple[Message, ...]) -> str:
        if not self._opened().facts.chat:
            raise Permanent(f"{self.name} has no chat template: it is no chat model, and completes raw text only", status=400)
        turns = [{"role": message.author, "content": message.content} for message in messages]
        page = self._opened().page("/apply-template", {"messages": turns, "add_generation_prompt": True})
        return str(page["prompt"])

    def _count(self, text: str) -> int:
        page = self._opened().page("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return len(page["tokens"])

    def _opened(self) -> Engine:
        if self._engine is None:
            raise InternalError("this backend was used before it was opened, or after it was closed")
        return self._engine


class _Attempt:
    """One request on a slot's thread."""

    def __init__(self, backend: LlamaCppBackend, engine: Engine, request: Request, delivery: Delivery) -> None:
        self._backend, self._engine, self._request, self._delivery = backend, engine, request, delivery
        self._reply = backend.reply(request)
        self._deadline: float | None = None
        self._overdue = False

    def run(self) -> Completion:
        """Generate to the end, or until left. Raises Lost, Refused, Permanent."""
        timeout = self._request.timeout
        if timeout is not None:  # counted from here: waiting for a slot is no fault of the engine
            self._deadline = time.monotonic() + timeout
        reply = self._reply
        if not self._delivery.left:
            self._engine.generate(self._backend.body(self._request), self._take)
        if self._overdue:
            raise Lost(f"{self._backend.name} did not end within {timeout:g} s", **reply.known())
        if reply.finish is None and not self._delivery.left:
            why = "was closed" if self._engine.closing else "ended the stream"
            raise Lost(f"{self._backend.name} {why} in the middle of a sample", **reply.known())
        return reply.completion()

    def _take(self, chunk: bytes) -> bool:
        delta = self._reply.feed(chunk)
        if self._deadline is not None and time.monotonic() > self._deadline and self._reply.finish is None:
            self._overdue = True
            return True
        if delta is not None:
            self._delivery.put(delta)
        return self._delivery.left
