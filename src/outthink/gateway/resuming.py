"""Goes on with a recorded request whose gateway was killed, or that was cut: what its record holds is not asked for again.

The answer is the one that the client would have got. It is charged to the request's own budget, as far as that was not spent;
the day's budget of a key is the gateway's, which counted the most that a lost attempt can have cost already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from outthink.core.errors import BadInput, Permanent, UnknownName
from outthink.core.selection import Result
from outthink.gateway import config
from outthink.gateway.building import Built, build, opened, public
from outthink.gateway.counting import Counting
from outthink.gateway.model import Model
from outthink.gateway.recall import Kept, header_of, read_record
from outthink.gateway.refusal import Refusal
from outthink.gateway.runs import Answered, bindings, job_of, ranked
from outthink.models import backend_of
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Ledger
from outthink.runtime.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Resumed:
    """What came of a request: its answers, best first, or why there is none."""

    kept: Kept
    result: Result
    answers: Sequence[Answered]
    why_none: str = ""


async def resume(path: str | Path, *, file: str | Path = "", model: str = "") -> Resumed:
    """Go on with the request of a record; one that ended gives its answer again, for nothing.

    file:  the gateway's configuration, which has the request's model; "" is the one that the record names
    model: another place to ask, such as URL#name, where there is no configuration

    Raises UsageError where the record, the configuration or the model can't be used, JournalError, BackendError.
    """
    kept = read_record(path)
    kept.require_whole("the request can't be asked again")
    kept.require_left()
    ledger = Ledger()
    async with _at(kept, model, ledger) if model else _configured(kept, file, ledger) as found:
        asked = kept.asked(found)
        header = header_of(asked)
        _check(kept, {"generator": header["model"], **header["roles"]})
        header |= {name: kept.header[name] for name in ("model", "roles")}  # the same model, wherever it is served now
        try:
            bound = bindings(job := job_of(asked))
        except Refusal as refusal:
            raise BadInput(str(refusal), where=f"record {path}") from None
        journal, counting = Journal(path), Counting()
        journal.open(header)
        try:
            spec = RunSpec(asked.name, asked.strategy.name, job.problem, asked.budget, asked.parameters, asked.seed)
            run = Interpreter(
                spec, asked.strategy, bound, ledger=ledger, journal=journal, around=asked.caller.scope, listener=counting
            )
            result = await run.run()
            try:
                return Resumed(kept, result, await ranked(job, result, counting))
            except Refusal as refusal:
                return Resumed(kept, result, (), str(refusal))
        finally:
            journal.close()


@asynccontextmanager
async def _configured(kept: Kept, file: str | Path, ledger: Ledger) -> AsyncIterator[Model]:
    """The request's model, and who plays its roles, as a gateway's configuration describes them."""
    whole = _read(kept, file)
    own = whole.models[kept.name]
    # A record names those of its roles that another model played; an object can't tell, and the model itself is here anyway.
    roles = {
        role: player
        for role, player in own.roles.items()
        if role in kept.header["roles"] or player not in whole.models or player == kept.name
    }
    players = {player: replace(whole.models[player], roles={}) for player in roles.values() if player in whole.models}
    part = replace(whole, models={**players, kept.name: replace(own, roles=roles, public=True)})
    built: dict[str, Built] = {}
    try:
        for name in part.models:
            built[name] = build(name, part, ledger, lambda _: ())
            await opened(built[name])
            if not built[name].pool.ready:
                reasons = "; ".join(each.breaker.reason for each in built[name].pool.upstreams if each.breaker.reason)
                raise Permanent(f"no upstream of the model {name} can be reached: {reasons}", status=503)
        yield next(each for each in public(part, built, 0) if each.name == kept.name)
    finally:
        for each in built.values():
            await each.pool.close()


def _read(kept: Kept, file: str | Path) -> config.Config:
    """The configuration that is named, or else the one of the gateway that made the record. Raises BadInput, UnknownName."""
    named = file or kept.notes.get("config", "")
    if not named or not (file or Path(named).is_file()):
        gone = f"the gateway's configuration {named} is gone" if named else "it doesn't name the gateway's configuration"
        raise BadInput(f"{gone}; name it by --config, or a server by --model URL", where=f"record {kept.path}")
    whole = config.read(named)
    if kept.name not in whole.models:
        raise UnknownName(f"model in {named} (the record's own)", kept.name, whole.models)
    return whole


@asynccontextmanager
async def _at(kept: Kept, model: str, ledger: Ledger) -> AsyncIterator[Model]:
    """A server that is named now, for the generator and whoever judges; its verifier is set as it was."""
    endpoint = Endpoint(backend_of(model), ledger, lasting=False)
    settings = kept.header.get("verifier_settings")
    verifiers = {str(kept.header["verifiers"].get("verifier")): settings} if isinstance(settings, dict) else {}
    try:
        await endpoint.open()
        yield Model(kept.name, {"generator": endpoint, "judge": endpoint}, verifiers=verifiers)
    finally:
        await endpoint.backend.close()


def _check(kept: Kept, now: Mapping[str, str]) -> None:
    """Refuse models other than those that began. now: names of backends by role; those of `header_of`."""
    before = {"generator": kept.header["model"], **kept.header["roles"]}
    for role, name in before.items():
        was, is_now = _models(str(name)), _models(now.get(role, now["generator"]))
        if was and is_now and not was & is_now:
            message = f"its {role} was {' or '.join(sorted(was))} so far and is now {' or '.join(sorted(is_now))}"
            raise BadInput(f"{message}; one request's samples are one model's", where=f"record {kept.path}")


def _models(name: str) -> set[str]:
    """What models are called at their servers, out of a backend's name; several upstreams, several names. Empty: not known."""
    return {each.rpartition("#")[2] for each in name.split(" | ") if not each.endswith("#")}
