"""Reward models behind HTTP, as vLLM serves them: a text goes in, numbers come out, nothing is generated.

    roles={"prm": "pooling:http://localhost:8000#Qwen2.5-Math-PRM-7B"}     with the verifier `reward`

A reward is answered as a sample of no tokens whose meta "rewards" holds the numbers, so that it is charged (its prompt tokens),
retried and journalled like any call. HTTP itself is `outthink.backends.openai.wire`'s. Known from vLLM's documentation and
source, where these paths are beside /v1, not in it; tested against a stand-in only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from outthink.backends.openai.address import Address, Secret
from outthink.backends.openai.decode import Unreadable, counts_of, json_of
from outthink.backends.openai.failures import error_in, failure
from outthink.backends.openai.wire import Wire
from outthink.core.backend import Completion, Piece, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BadInput, Lost, Permanent, UnknownName
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish

__all__ = ["ENDPOINTS", "RewardBackend"]

ENDPOINTS = ("pooling", "score", "classify")
MOST_NUMBERS = 65_536
TEMPLATE_TOKENS = 96


class RewardBackend:
    """A reward model on a server.

    url:      "http://host:port#model"
    endpoint: "pooling" (a number, or a row of them, per text, token or step), "classify" (probabilities of classes) or "score"
              (how well the answer fits the prompt)
    prices, key, largest: as in `outthink.backends.openai.OpenAIBackend`

    Raises UnknownName, BadInput.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str = "pooling",
        prices: Prices | None = None,
        key: Secret | None = None,
        largest: int = 8 << 20,
    ) -> None:
        if endpoint not in ENDPOINTS:
            raise UnknownName("reward endpoint", endpoint, ENDPOINTS)
        self._address, self._endpoint, self.prices = Address.parse(url), endpoint, prices
        if not self._address.model:
            raise BadInput("name the reward model after a #, as in http://localhost:8000#model", where="model")
        self.wire = Wire(self._address, self._address.key() if key is None else key, largest)

    def __repr__(self) -> str:
        return f"RewardBackend({self.name!r})"

    @property
    def name(self) -> str:
        """Endpoint, URL and model."""
        return f"{self._endpoint}:{self._address.root}#{self._address.model}"

    @property
    def capabilities(self) -> Capabilities:
        """It reads any text, and generates none."""
        return Capabilities(chat=True, raw=True, prefix=True, stop=False, seed=True, rewards=True)

    async def open(self) -> None:
        """Make the connection pool; nothing is sent."""
        await self.wire.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.wire.close()

    async def complete(self, request: Request) -> Completion:
        """One call. Raises Refused, Lost, Permanent."""
        try:
            body = json.dumps(self._body(request.prompt), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Permanent("the text holds half a character (a lone surrogate), which no model can read") from None
        try:
            answer = json_of(await self.wire.post(f"/{self._endpoint}", body, request.timeout, root=True))
            if (error := error_in(answer)) is not None:
                raise failure(self.wire.where, error[0], error[1], hide=self.wire.hide)
            numbers = self._numbers(answer)
        except Unreadable as why:
            raise Lost(f"{self.wire.where}: {why}", status=200) from None
        prompt, *_ = counts_of(answer)
        piece = Piece("", Finish.EOS, 0, meta={"rewards": numbers})
        return Completion((piece,) * len(request.seeds), prompt, 0)

    def prompt_bound(self, prompt: Prompt) -> int:
        """UTF-8 bytes plus what a template may add."""
        texts = [*(message.content for message in prompt.messages), prompt.text or "", prompt.prefix]
        return sum(len(text.encode("utf-8", "replace")) for text in texts) + TEMPLATE_TOKENS

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        model = {"model": self._address.model}
        asked = prompt.text if prompt.text is not None else "\n\n".join(message.content for message in prompt.messages)
        if self._endpoint == "score":
            return {**model, "text_1": asked, "text_2": prompt.prefix}
        if prompt.text is not None or self._endpoint == "classify":
            return {**model, "input": asked + prompt.prefix}
        turns = [{"role": message.author, "content": message.content} for message in prompt.messages]
        return {**model, "messages": [*turns, {"role": "assistant", "content": prompt.prefix}]}

    def _numbers(self, answer: dict[str, Any]) -> list[float]:
        """The numbers of the last row: of the last token or step, or the only one. Raises Unreadable."""
        data = answer.get("data")
        first = data[0] if type(data) is list and len(data) == 1 and type(data[0]) is dict else {}
        found: object = first.get({"pooling": "data", "classify": "probs", "score": "score"}[self._endpoint])
        while type(found) is list and found and type(found[-1]) is list:
            found = found[-1]
        numbers: Sequence[object] = found if type(found) is list else [found]
        if not 0 < len(numbers) <= MOST_NUMBERS or not all(_finite(number) for number in numbers):
            raise Unreadable("the reply holds no rewards, or some that are no finite numbers")
        return [float(number) for number in numbers]  # type: ignore[arg-type]  # they are numbers, as was just seen


def _finite(number: object) -> bool:
    return isinstance(number, float | int) and not isinstance(number, bool) and math.isfinite(number)
