"""The backend itself: one attempt per call, told truthfully. How bodies look, what replies mean and HTTP are beside it."""

from __future__ import annotations

from dataclasses import replace

from outthink.backends.engines import engine_named
from outthink.backends.openai.address import Address, Secret
from outthink.backends.openai.decode import Unreadable, completion_of, json_of
from outthink.backends.openai.detect import Facts, ask
from outthink.backends.openai.encode import Encoder
from outthink.backends.openai.failures import error_in, failure
from outthink.backends.openai.stream import ErrorEvent, StreamReader
from outthink.backends.openai.wire import Wire
from outthink.backends.sse import Event
from outthink.core.backend import Completion, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BadInput, InternalError, Lost
from outthink.core.prompt import Prompt

__all__ = ["OpenAIBackend"]

TEMPLATE_TOKENS = 96
MESSAGE_TOKENS = 16
PICTURE_TOKENS = 2048
"""Most tokens that a chat template is taken to add at first, per prompt, message and picture; replies may raise the first."""


class OpenAIBackend:
    """A model on an OpenAI-compatible server.

    url:          "http://host:port#model", "https://host/v1#model"; without #model the server's only one
    model:        its name, instead of #model
    engine:       a name in ENGINES; "" asks the server
    capabilities: what it can do, for example as probed; None: as declared for its engine
    prices:       money per million tokens, or None
    key_variable: the environment variable that holds the API key; "" is OUTTHINK_API_KEY, and for api.openai.com
                  OPENAI_API_KEY after it
    key:          the key itself, instead
    largest:      most bytes of one reply; a larger one is lost
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        engine: str = "",
        capabilities: Capabilities | None = None,
        prices: Prices | None = None,
        key_variable: str = "",
        key: Secret | None = None,
        largest: int = 64 << 20,
    ) -> None:
        self.address = Address.parse(url)
        if model and self.address.model and model != self.address.model:
            raise BadInput(f"the URL names the model {self.address.model!r} and model= names {model!r}", where="model")
        self.model = model or self.address.model
        self.prices = prices
        self.facts = Facts(engine=engine) if engine else Facts()
        self.engine = engine_named(self.facts.engine)
        self.wire = Wire(self.address, self.address.key(key_variable) if key is None else key, largest)
        self._engine_given, self._given = engine, capabilities
        self._capabilities: Capabilities | None = None
        self._encoder: Encoder | None = None
        self._overhead = TEMPLATE_TOKENS

    def __repr__(self) -> str:
        return f"OpenAIBackend({self.name!r})"

    @property
    def name(self) -> str:
        """URL and model."""
        return f"{self.address.base}#{self.model}"

    @property
    def capabilities(self) -> Capabilities:
        """As given, or as declared for the engine that the server is."""
        return self._capabilities or self._given or self.engine.capabilities

    async def open(self) -> None:
        """Connect and ask the server what it is. Raises Refused, Permanent, or BadInput where the model isn't clear."""
        await self.wire.open()
        facts = await ask(self.wire, self.address, self.model)
        self.facts = replace(facts, engine=self._engine_given or facts.engine)
        self.engine = engine_named(self.facts.engine)
        if not self.model:
            if len(facts.models) != 1:
                known = ", ".join(facts.models[:20]) or "none"
                raise BadInput(f"name a model as {self.address.base}#MODEL; the server lists: {known}", where="model")
            self.model = facts.models[0]
        self._capabilities = self._given or replace(
            self.engine.capabilities, context=facts.context, slots=facts.slots, vocabulary=facts.vocabulary
        )
        self._encoder = Encoder(self.engine, self.model, prefix=self._capabilities.prefix)

    async def close(self) -> None:
        """Close every connection."""
        await self.wire.close()

    async def complete(self, request: Request) -> Completion:
        """One attempt; see `outthink.core.backend.Backend`."""
        encoder = self._encoder
        if encoder is None:
            raise InternalError("this backend was used before it was opened")
        body, path = encoder.body(request), encoder.path(request.prompt)
        chat = request.prompt.text is None
        if request.watch is not None:
            completion = await self._streamed(request, path, body, chat)
        else:
            reply = await self.wire.post(path, body, request.timeout)
            try:
                answer = json_of(reply)
                if (error := error_in(answer)) is not None:
                    raise failure(self.wire.where, error[0], error[1], hide=self.wire.hide)
                echo = request.prompt.prefix if chat and self.engine.echoes else ""
                completion = completion_of(answer, request, chat, self.capabilities.vocabulary, echo)
            except Unreadable as why:
                raise Lost(f"{self.wire.where}: {why}", status=200) from None
        if completion.prompt_tokens is not None and completion.prompt_tokens > self._overhead:
            excess = completion.prompt_tokens - self.prompt_bound(request.prompt)
            if excess > 0:
                self._overhead += excess
        return completion

    def prompt_bound(self, prompt: Prompt) -> int:
        """UTF-8 bytes (no tokenizer makes more tokens than that) plus the most that a template was seen to add."""
        extra = len(prompt.extra.encode("utf-8", "replace"))  # tools become part of the prompt
        if prompt.text is not None:
            return len((prompt.text + prompt.prefix).encode("utf-8", "replace")) + extra + self._overhead
        size = len(prompt.prefix.encode("utf-8", "replace")) + extra
        for message in prompt.messages:
            size += len((message.wire or message.content).encode("utf-8", "replace")) + MESSAGE_TOKENS
            if message.wire:
                size += PICTURE_TOKENS * message.wire.count('"image_url"')
        return size + self._overhead

    async def _streamed(self, request: Request, path: str, body: bytes, chat: bool) -> Completion:
        reader = StreamReader(request, chat, self.capabilities.vocabulary, self.engine.one_by_one)
        watch = request.watch
        assert watch is not None

        def take(event: Event) -> bool:
            delta = reader.read(event)
            return delta is not None and watch(delta)

        try:
            left = await self.wire.stream(path, body, request.timeout, take)
            if not (left or reader.ended):
                raise Unreadable("the stream ended in the middle")
            if not (reader.seen or reader.exact):  # what it cost is told all the same where the server says so
                raise Unreadable("the stream held no choices")
        except (Lost, Unreadable, ErrorEvent) as error:
            raise self._broken(error, reader) from None
        return reader.completion(left)

    def _broken(self, error: Lost | Unreadable | ErrorEvent, reader: StreamReader) -> Exception:
        """The error of a broken stream, with the tokens that had arrived."""
        if isinstance(error, ErrorEvent):
            found = failure(self.wire.where, error.code, error.error, hide=self.wire.hide)
            if not reader.tokens and not isinstance(found, Lost):
                return found
            error = Lost(str(found), status=error.code)
        elif isinstance(error, Unreadable):
            error = Lost(f"{self.wire.where}: {error}", status=200)
        if reader.tokens:
            error.prompt_tokens, error.completion_tokens = reader.prompt_tokens, reader.tokens
        return error
