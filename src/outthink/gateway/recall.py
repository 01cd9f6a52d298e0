"""A request as its record keeps it: noted as it begins, and read again by whoever goes on with it or takes its samples.

What its outcomes depend on is the header of its journal; what is needed to ask again are the notes beside it. Neither ever
holds a secret: keys of clients and of upstreams are no part of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outthink.core.budget import Budget
from outthink.core.errors import BadInput, JournalDamaged, JournalLocked, UsageError
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.core.strategy import Strategy
from outthink.core.task import Task
from outthink.gateway import known
from outthink.gateway.conversation import Conversation
from outthink.gateway.messages import problem_of
from outthink.gateway.model import Model
from outthink.gateway.runs import each
from outthink.gateway.seams import Asked, Caller
from outthink.gateway.writer import alive
from outthink.report.run_view import listed
from outthink.runtime.recorded import NOTES, read_header

KIND, COMMAND = "gateway", "serve"
_HEADER = {
    "model": str, "task": str, "seed": int, "sampling": dict, "verifiers": dict, "roles": dict, "strategy": str,
    "parameters": dict, "budget": str, "public_model": str, "protocol": str, "request": str, "key": str,
}  # fmt: skip
_BROKEN = (KeyError, TypeError, ValueError, AttributeError)


def header_of(asked: Asked) -> dict[str, Any]:
    """What a record's outcomes depend on: the header of its journal."""
    model, problem = asked.model, problem_of(asked.prompt)
    used = set(asked.strategy.asks(asked.parameters))
    settings: Mapping[str, Any] = {}
    if asked.verifier:
        settings = known.settings_of(asked.verifier, model.verifiers)
        used |= set(known.verifier(asked.verifier, model.verifiers).roles)
    players = {role: each for role, each in model.endpoints.items() if role in used and each is not model.generator}
    return {
        "kind": KIND,
        "model": model.generator.backend.name,
        "task": asked.task,
        "seed": asked.seed,
        "sampling": {"generator": asked.sampling.fields()},
        "verifiers": {"verifier": asked.verifier} if asked.verifier else {},
        **({"verifier_settings": dict(settings)} if settings else {}),
        "roles": {role: each.backend.name for role, each in players.items()},
        "strategy": asked.strategy.name,
        "parameters": asked.strategy.bound(asked.parameters),
        "budget": str(asked.budget),
        "problems": [problem.id, problem.text],
        "public_model": model.name,
        "protocol": asked.protocol,
        "request": asked.id,
        "key": asked.caller.name,
    }


def notes_of(asked: Asked) -> dict[str, Any]:
    """What is kept beside it, so that the request can be asked again."""
    return {
        "command": COMMAND,
        "run": asked.name,
        "prompt": asked.prompt.fields(),
        "form": {"tools": asked.tools, "must_call": asked.must_call, "is_json": asked.is_json},
        "choices": asked.choices,
        "stream": asked.stream,
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """A request out of its record.

    run:     the name of its run in the journal
    record:  what the record is called, unlike any other's of its gateway
    at:      when it began, as ISO 8601
    redacted: how its texts were changed as they were written, or "" where nothing was
    """

    path: Path
    header: Mapping[str, Any]
    notes: Mapping[str, Any]
    run: str
    record: str
    at: str
    prompt: Prompt
    redacted: str = ""

    @property
    def name(self) -> str:
        """The public model that was asked."""
        return str(self.header["public_model"])

    @property
    def strategy(self) -> Strategy:
        """What was carried out. Raises UnknownName where it isn't installed here."""
        name = self.header["strategy"]
        return each if name == each.name else known.strategy(name)

    def conversation(self, task: Task | None) -> Conversation:
        """What tells its answers apart, where texts are told apart by `task`."""
        form = {name: bool(self.notes["form"].get(name)) for name in ("tools", "must_call", "is_json")}
        return Conversation(self.prompt, task, **form)

    def asked(self, model: Model) -> Asked:
        """The request again, of this model. Raises UsageError where its record says what can't be."""
        header = self.header
        budget = header["budget"]
        try:
            form, sampling = self.notes["form"], dict(header["sampling"]["generator"])
            return Asked(
                id=header["request"],
                protocol=header["protocol"],
                caller=Caller(header["key"]),
                model=model,
                strategy=self.strategy,
                parameters=self.strategy.bound(header["parameters"]),
                budget=Budget() if budget == str(Budget()) else Budget.parse(budget),
                prompt=self.prompt,
                sampling=Sampling(**{**sampling, "stop": tuple(sampling["stop"])}),
                task=header["task"],
                verifier=header["verifiers"].get("verifier", ""),
                seed=header["seed"],
                name=self.run,
                choices=self.notes["choices"],
                stream=self.notes["stream"],
                tools=bool(form["tools"]),
                must_call=bool(form["must_call"]),
                is_json=bool(form["is_json"]),
            )
        except UsageError:
            raise
        except _BROKEN as error:
            raise _damaged(self.path, error) from None

    def require_whole(self, purpose: str) -> None:
        """Raise BadInput where its texts were changed. purpose: what is not possible then."""
        if self.redacted:
            how = "replaced by digests" if self.redacted == "digest" else "redacted"
            message = f"its texts were {how} as it was written (records.texts), so {purpose}"
            raise BadInput(message, where=f"record {self.path}")

    def require_left(self) -> None:
        """Raise JournalLocked while its gateway is still at it."""
        writer, runs = self.notes.get("writer"), listed(self.path)["runs"]
        ended = bool(runs) and runs[0]["state"] is not None
        if ended or not isinstance(writer, str) or Path(writer).name != writer:
            return
        if alive(self.path.absolute().parent.parent, writer):
            raise JournalLocked(f"the gateway is still answering the request of {self.path}; wait until it has ended")


def is_record(path: str | Path) -> bool:
    """Whether a journal is one of a gateway's records. Raises BadInput where there is no file, JournalDamaged."""
    return read_header(path).get("kind") == KIND


def read_record(path: str | Path) -> Kept:
    """The request of a record, also while it is written. Raises BadInput for another journal, JournalDamaged."""
    header = read_header(path)
    notes = header.get(NOTES)
    where = f"record {path}"
    if header.get("kind") != KIND:
        raise BadInput("was not made by a gateway (outthink serve)", where=where)
    if not isinstance(notes, dict) or "form" not in notes:
        raise JournalDamaged(f"{path} is broken, or an older version made it: it doesn't say how the request was asked")
    for name, kind in _HEADER.items():
        if not isinstance(header.get(name), kind):
            raise JournalDamaged(f"{path} is no record of a gateway or is broken: it doesn't say its {name.replace('_', ' ')}")
    redacted = header.get("texts", "")
    try:
        prompt = Prompt.of_fields(notes["prompt"] if not redacted else ["raw", "", ""])
        run, record, at = str(notes["run"]), str(notes["record"]), str(notes["at"])
    except (*_BROKEN, UsageError) as error:
        raise _damaged(path, error) from None
    return Kept(Path(path), header, notes, run, record, at, prompt, str(redacted))


def _damaged(path: str | Path, error: Exception) -> JournalDamaged:
    return JournalDamaged(f"{path} is no record of a gateway or is broken: {type(error).__name__}: {error}")
