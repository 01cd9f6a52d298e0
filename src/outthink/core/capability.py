"""What a backend can do, what a strategy needs, and the refusal of a wrong combination before anything is spent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from outthink.core.errors import Unsupported
from outthink.core.logprobs import LogprobNeed


class Needs(StrEnum):
    """What a strategy needs beyond sampling text."""

    SCORES = "scores"  # a bound verifier
    LOGPROBS = "logprobs"  # log-probabilities of the chosen tokens
    TOP_LOGPROBS = "top_logprobs"  # log-probabilities of alternatives too
    CHAT = "chat"  # further turns after an answer
    PREFIX = "prefix"  # continue a given beginning of an answer
    STEPS = "steps"  # go on step by step: continue a beginning, and stop at a string
    REWARDS = "rewards"  # numbers in place of text
    STREAM = "stream"  # partial samples while they are generated, and cancel that frees the server


_LOGPROBS = "the embedded model, vLLM, SGLang and llama.cpp give them; a pool holds them where what recorded it needed them"
_PREFIX = "the embedded model, vLLM, SGLang and llama.cpp go on from a given beginning"
WHO_CAN: Mapping[Needs, str] = {
    Needs.LOGPROBS: _LOGPROBS,
    Needs.TOP_LOGPROBS: _LOGPROBS,
    Needs.CHAT: "a model with a chat template can",
    Needs.PREFIX: _PREFIX,
    Needs.STEPS: f"{_PREFIX} and stop at a string",
    Needs.STREAM: "the embedded model and most servers stream, and stop when they are left",
}
"""Where each need is met."""

Roles = Collection[str]
"""Names of roles; as a mapping also what the model that plays each must be able to do (a collection of `Needs` and
`LogprobNeed`). Names alone: any model will do, or an object with async methods."""


def needs_of(roles: Roles, role: str) -> Collection[Needs | LogprobNeed]:
    """What a role must be able to do."""
    return roles[role] if isinstance(roles, Mapping) else ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do; unknown counts as no.

    chat, raw:        takes messages; takes raw text
    n:                most samples of one request that share the computation of the prompt; 1: send separate requests
    seed:             the same request with the same seed gives the same text
    logprobs:         alternatives per token; 0: the chosen token only; -1: none at all
    prefix:           continues an open assistant turn, or raw text
    stop:             honours stop strings
    stream, cancel:   sends partial text; leaving a request frees the server
    counts:           each piece of a stream says exactly how many tokens came so far
    exact_cancel:     a request that is cancelled says at once how much it had
    prompt_logprobs, token_ids, guided: log-probabilities of the prompt; token ids in and out; grammar or JSON schema
    rewards:          answers with numbers (each sample's meta "rewards"), and never with text
    slots:            how many requests it works on at once, or None where that must be found out
    context:          most prompt plus completion tokens of one sample, or None where unknown
    vocabulary:       size of the vocabulary, or 0 where unknown
    thinking:         opening and closing mark of its thinking block (opening "": its template opens it), or None where unknown
    emulated:         names of features that work by an emulation, such as "n as parallel requests"
    """

    chat: bool = True
    raw: bool = False
    n: int = 1
    seed: bool = False
    logprobs: int = -1
    prefix: bool = False
    stop: bool = True
    stream: bool = False
    cancel: bool = False
    counts: bool = False
    exact_cancel: bool = False
    prompt_logprobs: bool = False
    token_ids: bool = False
    guided: bool = False
    rewards: bool = False
    slots: int | None = None
    context: int | None = None
    vocabulary: int = 0
    thinking: tuple[str, str] | None = None
    emulated: tuple[str, ...] = ()

    def require_logprobs(self, need: LogprobNeed | None, who: str, backend: str) -> None:
        """Raise Unsupported unless the need can be met."""
        if need is not None and self.logprobs < need.top:
            has = "none" if self.logprobs < 0 else f"at most {self.logprobs} alternatives per token"
            raise Unsupported(
                f"{who} needs log-probabilities with {need.top} alternatives per token and {backend} gives {has}; "
                "use a backend that gives them (the embedded model, vLLM, SGLang, llama.cpp)"
            )

    def require(self, needs: Collection[Needs | LogprobNeed], who: str, backend: str) -> None:
        """Raise Unsupported for the first need that this backend can't meet: where rewards aren't needed, text is."""
        if Needs.REWARDS in needs and not self.rewards:
            raise Unsupported(
                f"{who} needs rewards, and {backend} gives text; bind the server of a reward model, such as pooling:URL#name, "
                "or choose the verifier `verdict`, which reads the log-probabilities of a model that generates"
            )
        if self.rewards and Needs.REWARDS not in needs:
            raise Unsupported(
                f"{who} needs text, and {backend} is a reward model, which gives numbers only; "
                "bind a model that generates, and this one as the role prm of the verifier `reward`"
            )
        for each in needs:
            if isinstance(each, LogprobNeed):
                self.require_logprobs(each, who, backend)
        lacking = {
            Needs.LOGPROBS: self.logprobs < 0,
            Needs.TOP_LOGPROBS: self.logprobs < 1,
            Needs.CHAT: not self.chat,
            Needs.PREFIX: not self.prefix,
            Needs.STEPS: not (self.prefix and self.stop),
            Needs.STREAM: not (self.stream and self.cancel),
        }
        for need, lacks in lacking.items():
            if need in needs and lacks:
                raise Unsupported(
                    f"{who} needs {need.value.replace('_', ' ')} and {backend} doesn't have it; {WHO_CAN[need]}; "
                    "`outthink probe URL` says what a server can do, and engine= or probed= that it can"
                )
