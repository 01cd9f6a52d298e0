"""Finds out what an OpenAI-compatible server really does, by tiny requests whose effect can be seen.

Servers accept fields and ignore them: a feature is `yes` only where its effect was seen, `no` where it was seen to be
absent, `emulated` where something else does its job, `unknown` otherwise. The checks are in `probe_checks` and
`probe_timing`; what an engine is declared to do is in `engines`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from outthink.backends.openai import OpenAIBackend
from outthink.backends.probe_ask import FAILURES, Ask, Finding, Verdict
from outthink.backends.probe_checks import CHECKS
from outthink.backends.probe_timing import TIMING_CHECKS
from outthink.core.capability import Capabilities
from outthink.core.errors import BadInput, UnknownName

__all__ = ["FEATURES", "Finding", "ProbeReport", "Verdict", "probe"]

_ALL: dict[str, Callable[[Ask], Awaitable[Finding]]] = {check.__name__: check for check in (*CHECKS, *TIMING_CHECKS)}

FEATURES: tuple[str, ...] = tuple(_ALL)
"""Everything that is probed, in the order of probing."""

_FLAGS = ("chat", "raw", "seed", "prefix", "stop", "stream", "cancel", "prompt_logprobs", "guided")


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found. `when` is a Unix time; `seconds` what probing took; `declared` what is known without probing."""

    name: str
    engine: str
    version: str
    when: float
    seconds: float
    findings: tuple[Finding, ...]
    declared: Capabilities

    def __getitem__(self, feature: str) -> Finding:
        """The finding of a feature. Raises UnknownName."""
        for finding in self.findings:
            if finding.feature == feature:
                return finding
        raise UnknownName("probed feature", feature, [finding.feature for finding in self.findings])

    def capabilities(self) -> Capabilities:
        """What may be relied on: features that were seen to work; for those that were not probed, what is declared."""
        found = {finding.feature: finding for finding in self.findings}
        flags: dict[str, Any] = {name: found[name].verdict == "yes" for name in _FLAGS if name in found}
        if "n" in found:
            flags["n"] = found["n"].most if found["n"].verdict == "yes" else 1
        if "logprobs" in found:
            flags["logprobs"] = found["logprobs"].most if found["logprobs"].verdict == "yes" else -1
        emulated = tuple(finding.feature for finding in self.findings if finding.verdict == "emulated")
        return replace(self.declared, **flags, emulated=emulated)

    def fields(self) -> dict[str, Any]:
        """Plain JSON; `read` is the inverse."""
        return asdict(self)

    @classmethod
    def read(cls, path: str | Path) -> ProbeReport:
        """A report from a file that holds its `fields` (what `outthink probe URL --json` prints). Raises BadInput."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
            findings = tuple(Finding(**finding) for finding in fields.pop("findings"))
            declared = fields.pop("declared")
            declared["emulated"] = tuple(declared["emulated"])
            return cls(findings=findings, declared=Capabilities(**declared), **fields)
        except OSError as error:
            raise BadInput(f"can't be read: {error.strerror}", where=f"probe report {path}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BadInput("holds no report; write one with `outthink probe URL --json`", where=f"probe report {path}") from None


async def probe(
    backend: OpenAIBackend,
    features: Collection[str] = FEATURES,
    *,
    told: Callable[[Finding], None] | None = None,
) -> ProbeReport:
    """Probe an opened backend; `told` hears each finding as it comes. Costs about 60 requests of a few tokens each.

    A check that the server fails altogether is `unknown` (or `no` where the endpoint itself is refused). Raises UnknownName.
    """
    for feature in features:
        if feature not in _ALL:
            raise UnknownName("probed feature", feature, FEATURES)
    ask, findings, when, began = Ask(backend), [], time.time(), time.perf_counter()
    for feature, check in _ALL.items():
        if feature in features:
            try:
                finding = await check(ask)
            except FAILURES as error:
                gone = feature in ("chat", "raw") and getattr(error, "status", None) in (400, 404, 405, 501)
                finding = Finding(feature, "no" if gone else "unknown", f"the request failed: {error}")
            findings.append(finding)
            if told is not None:
                told(finding)
    seconds = time.perf_counter() - began
    facts = backend.facts
    return ProbeReport(backend.name, facts.engine, facts.version, when, seconds, tuple(findings), backend.capabilities)
