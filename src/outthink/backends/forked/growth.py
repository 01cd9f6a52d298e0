"""One sample on its way: its tokens, its text up to a stop string, its log-probabilities. Threads and memory live elsewhere."""

from __future__ import annotations

import codecs
import math
import random
from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from outthink.backends.forked.sampling import most_probable
from outthink.core.backend import Completion, Delta, Piece, Request
from outthink.core.logprobs import Logprobs
from outthink.core.sample import Finish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Growth"]


class Growth:
    """A sample of `request`, whose prompt is `prompt` in tokens.

    limit:  most tokens it may get
    piece:  the bytes of a token, or None for a token that ends a sample
    named:  the text of any token, control tokens too
    cached: tokens of its prompt that were computed for others; known once it is laid out
    """

    def __init__(
        self,
        request: Request,
        prompt: list[int],
        limit: int,
        *,
        piece: Callable[[int], bytes | None],
        named: Callable[[int], str],
        vocabulary: int,
    ) -> None:
        self.request, self.prompt, self.limit = request, prompt, limit
        self.settings = settings = request.sampling
        self._piece, self._named, self._vocabulary = piece, named, vocabulary
        self.uniform = random.Random(request.seeds[0]).random
        penalties = (settings.presence_penalty, settings.frequency_penalty, settings.repeat_penalty) != (0, 0, 1)
        self.seen = Counter(prompt) if penalties else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text, self._told, self._longest = "", 0, max(map(len, settings.stop), default=0)
        self._chosen, self._top = array("d"), array("d")
        self._first: dict[str, float] = {}
        self.finish: Finish | None = None
        self.tokens = self.cached = 0

    def add(self, token: int, row: NDArray[np.float32], normaliser: float) -> Delta:
        """Take the next token in, which was drawn from these logits. `finish` is set where it ends the sample."""
        self.tokens += 1
        if self.seen is not None:
            self.seen[token] += 1
        logprobs = self._logprobs(token, row, normaliser)
        piece = self._piece(token)
        if piece is None:
            self._end(Finish.EOS)
        else:
            self._extend(self._decoder.decode(piece))
            if self.finish is None and self.tokens >= self.limit:
                self._end(Finish.LENGTH)
        safe = len(self._text) if self.finish is not None else len(self._text) - self._half_a_stop()
        text, self._told = self._text[self._told : safe], max(safe, self._told)
        return Delta(text, 1, logprobs, exact=True)

    def completion(self) -> Completion:
        """The sample as it is; one that has not ended was left."""
        need = self.request.logprobs
        logprobs = None if need is None else Logprobs(self._chosen, self._top, need.top, self._vocabulary)
        meta = {"first_token": self._first} if need is not None and need.first else {}
        text = self._text if self.finish is not None else self._text[: self._told]
        piece = Piece(text, self.finish or Finish.CANCELLED, self.tokens, logprobs, meta=meta)
        return Completion((piece,), len(self.prompt), self.tokens, self.cached)

    def known(self) -> dict[str, int | None]:
        """The tokens known to be spent, as `Lost` takes them."""
        return {"prompt_tokens": len(self.prompt), "completion_tokens": self.tokens}

    def _extend(self, text: str) -> None:
        begin = max(0, len(self._text) - self._longest + 1)
        self._text += text
        if not self._longest or not text:
            return
        places = [at for stop in self.settings.stop if (at := self._text.find(stop, begin)) >= 0]
        if places:
            self._text, self.finish = self._text[: min(places)], Finish.STOP

    def _end(self, why: Finish) -> None:
        self._extend(self._decoder.decode(b"", final=True))  # half a character at the end
        self.finish = self.finish or why

    def _half_a_stop(self) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        for length in range(min(self._longest - 1, len(self._text)), 0, -1):
            tail = self._text[-length:]
            if any(stop.startswith(tail) for stop in self.settings.stop):
                return length
        return 0

    def _logprobs(self, token: int, row: NDArray[np.float32], normaliser: float) -> Logprobs | None:
        need = self.request.logprobs
        if need is None:
            return None
        chosen, top = array("d", [float(row[token]) - normaliser]), array("d")
        naming = need.first and self.tokens == 1
        best = most_probable(row, max(need.top, 1)) if need.top or naming else []
        values = [float(row[each]) - normaliser for each in best]
        top.extend(values[: need.top] + [-math.inf] * (need.top - len(best)))
        if naming:  # of two tokens with one text the more probable one counts
            self._first = {self._named(each): value for each, value in reversed(list(zip(best, values, strict=True)))}
        self._chosen.extend(chosen)
        self._top.extend(top)
        return Logprobs(chosen, top, need.top, self._vocabulary)
