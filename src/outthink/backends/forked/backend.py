"""The backend itself: one attempt per call, all of them growing in one context. The event loop gets what is finished."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path

from outthink.backends.delivery import Delivery
from outthink.backends.forked.decoder import Decoder
from outthink.backends.forked.growth import Growth
from outthink.backends.forked.memory import Computed
from outthink.backends.forked.template import written
from outthink.backends.llamacpp.engine import usable_cpus
from outthink.backends.weights import EMBEDDED, model_file
from outthink.core.backend import Completion, Delta, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BackendError, BadInput, InternalError, MissingExtra, Permanent, Unsupported
from outthink.core.prompt import Message, Prompt
from outthink.core.thinking import marks_in

__all__ = ["ForkedBackend"]

MOST_LOGPROBS = 100
MOST_SLOTS = 200
"""Of the 256 sequences that llama.cpp has: the others are for what ended samples leave."""
MOST_THREADS = 8
KEPT_PROMPTS = 1024
TEMPLATE_TOKENS = 64
"""Most tokens that a template is taken to add to a message, where it can't be asked."""


class ForkedBackend:
    """A GGUF model in this process whose samples share every token that they have in common, computed once and held once.

    model:   'embedded', 'tiny' (or another of the tiny reasoner's models), a path, or 'hf:owner/repository/file.gguf[@revision]'
    slots:   samples that grow at once, 200 at most
    context: most prompt plus completion tokens of one sample
    kept:    tokens of ended samples that stay in memory for those that go on from them, beside room for `context` in each slot
    threads: that compute; None: one per processor that this process may use, but 8 at most
    precise: keep keys and values in float32 and compute attention plainly: slower, the more so the more is held, but then what is
             computed together changes little more than the last bits of a number
    note:    called with a sentence before a model is downloaded

    A sample's prompt_tokens are all of its prompt; its cached_tokens are those that were computed for another. Raises BadInput.
    """

    def __init__(
        self,
        model: str | Path = "embedded",
        *,
        slots: int = 8,
        context: int = 2048,
        kept: int = 2048,
        threads: int | None = None,
        precise: bool = False,
        prices: Prices | None = None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        for name, value in (("slots", slots), ("context", context), ("threads", 1 if threads is None else threads)):
            if value < 1:
                raise BadInput(f"is {value} and must be at least 1", where=name)
        if slots > MOST_SLOTS or kept < 0:
            raise BadInput(f"slots is {slots} and at most {MOST_SLOTS}, kept is {kept} and at least 0", where="slots, kept")
        self.model, self.prices = str(model), prices
        file = EMBEDDED.name if self.model == "embedded" else self.model.partition("@")[0].rpartition("/")[2]
        self.name = f"forked:{file.removesuffix('.gguf')}"
        self._slots, self._context, self._kept, self._precise = slots, context, kept, precise
        self._threads = threads or min(usable_cpus(), MOST_THREADS)
        self._note = note
        self._decoder: Decoder | None = None
        self._chat: str | None = None
        self._thinking: tuple[str, str] | None = None
        self._tokens = functools.lru_cache(KEPT_PROMPTS)(self._tokenised)
        self._templated = functools.lru_cache(KEPT_PROMPTS)(self._apply_template)
        self._piece = functools.cache(self._piece_of)

    def __repr__(self) -> str:
        return f"ForkedBackend({self.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """What this engine does; `chat` and `vocabulary` are the model's own once it is open."""
        return Capabilities(
            chat=self._decoder is None or self._chat is not None,
            raw=True,
            logprobs=MOST_LOGPROBS,
            prefix=True,
            stream=True,
            cancel=True,
            counts=True,
            slots=self._slots,
            context=self._context,
            vocabulary=0 if self._decoder is None else self._decoder.context.vocabulary,
            thinking=self._thinking,
        )

    @property
    def computed(self) -> Computed:
        """Tokens asked for and computed since it was opened: their ratio is what sharing saves."""
        return self._opened().computed

    @property
    def live(self) -> int:
        """Samples that hold a slot."""
        return self._opened().live

    @property
    def held(self) -> int:
        """Cells of memory in use, the ones of ended samples too."""
        return self._opened().held

    async def open(self) -> None:
        """Fetch the file where it isn't here yet, and load it. Raises BadInput, MissingExtra, Refused, Unsupported."""
        self._decoder = await asyncio.to_thread(self._load)
        context = self._decoder.context
        if (template := context.chat_template()) is not None:
            try:
                opened = written(template, (Message("user", "?"),), context.marks())
            except Permanent:  # what can't even be asked this is no template; a chat is then refused
                return
            self._chat, self._thinking = template, marks_in(template, opened)

    async def close(self) -> None:
        """Leave what still runs and free the model and its thread."""
        if self._decoder is not None:
            await asyncio.to_thread(self._decoder.close)
            self._decoder = None

    async def complete(self, request: Request) -> Completion:
        """One attempt; see `outthink.core.backend.Backend`. Being cancelled frees the slot within one decoding step."""
        decoder = self._opened()
        if len(request.seeds) != 1:
            raise Unsupported(f"{self.name} takes one sample per request and was asked for {len(request.seeds)}")
        prompt = list(self._tokens(self.rendered(request.prompt)))
        if not prompt:
            raise Permanent("the prompt is empty, and this model needs a first token", status=400)
        if (room := self._context - len(prompt)) < 1:
            raise Permanent(
                f"the prompt has {len(prompt)} tokens and the model's context holds {self._context}; shorten the prompt, or open "
                "the model with a larger context=",
                status=400,
            )
        growth = Growth(
            request, prompt, min(request.sampling.max_tokens, room),
            piece=self._piece, named=self._named, vocabulary=decoder.context.vocabulary,
        )  # fmt: skip
        attempt = _Attempt(growth, Delivery(request.watch, asyncio.get_running_loop()), request.timeout)
        try:
            completion = await asyncio.wrap_future(decoder.submit(attempt))
            attempt.delivery.deliver()
        finally:
            attempt.delivery.left = True
        if attempt.delivery.failed is not None:
            raise attempt.delivery.failed
        return completion

    def forget(self) -> None:
        """Let go of what ended samples left in memory, before the next token."""
        self._opened().forget()

    def prompt_bound(self, prompt: Prompt) -> int:
        """The very number of tokens, by the model's own template and tokenizer."""
        try:
            return len(self._tokens(self.rendered(prompt)))
        except BackendError:  # it will be refused when it is sent; until then no tokenizer makes more tokens than bytes
            plain = "".join(message.content for message in prompt.messages) + (prompt.text or "") + prompt.prefix
            return len(plain.encode("utf-8", "replace")) + TEMPLATE_TOKENS * len(prompt.messages)

    def rendered(self, prompt: Prompt) -> str:
        """The text the model sees: its own chat template, then an open assistant turn that holds the prefix.

        Raises Permanent for a chat with a model that has no template.
        """
        return (self._templated(prompt.messages) if prompt.text is None else prompt.text) + prompt.prefix

    def _load(self) -> Decoder:
        path = model_file(self.model, self._note)
        try:
            return Decoder(
                path, slots=self._slots, context=self._context, threads=self._threads, kept=self._kept, precise=self._precise
            )
        except ModuleNotFoundError as error:
            if error.name != "numpy":
                raise
            raise MissingExtra("forking sequences of a model in this process", "forked") from None

    def _apply_template(self, messages: tuple[Message, ...]) -> str:
        context = self._opened().context
        if self._chat is None:
            raise Permanent(f"{self.name} has no chat template that can be used: it completes raw text only", status=400)
        marks = context.marks()
        text = written(self._chat, messages, marks)
        # The tokenizer puts the beginning token first by itself.
        return text.removeprefix(marks["bos_token"]) if context.adds_beginning() else text

    def _tokenised(self, text: str) -> tuple[int, ...]:
        return tuple(self._opened().context.tokens(text))

    def _piece_of(self, token: int) -> bytes | None:
        context = self._opened().context
        return None if context.is_end(token) else context.piece(token)

    def _named(self, token: int) -> str:
        return self._opened().context.piece(token, special=True).decode(errors="replace")

    def _opened(self) -> Decoder:
        if self._decoder is None:
            raise InternalError("this backend was used before it was opened, or after it was closed")
        return self._decoder


class _Attempt:
    """One request between the event loop and the decoder's thread."""

    def __init__(self, growth: Growth, delivery: Delivery, timeout: float | None) -> None:
        self.growth, self.delivery, self.timeout = growth, delivery, timeout

    @property
    def left(self) -> bool:
        """Nobody waits for it any more."""
        return self.delivery.left

    def tell(self, delta: Delta) -> None:
        """On the decoder's thread: a piece has come."""
        self.delivery.put(delta)
