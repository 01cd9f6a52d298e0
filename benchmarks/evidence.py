"""Every strategy of the parallel family against plain majority at equal spending, as the table of docs/evidence.md.

    OUTTHINK_SHARED_DATA=folder python benchmarks/evidence.py --record FOLDER > docs/evidence.md

Samples are replayed: from the recorded pools of the data folder, from the project's own pool, and from pools of the tiny reasoner
that --record makes. What no recording can answer (a judge, a continuation) is asked of the tiny reasoner itself and of simulated
models. Gaps are paired by problem, with 95% intervals. The folder keeps pools and lines: stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evidence_worlds import PROBLEMS, Source, live, own, recorded, simulated

from outthink import catalogue, evaluate
from outthink.core.capability import Needs
from outthink.evaluation.rows import Row

WITHOUT_N = ("certaindex", "atts")
"""They take as many samples as they need, pieces and probes included."""


UNRECORDED = {
    "chops": "a judge's choice",
    "universal_self_consistency": "a judge's choice",
    "nothinking": "answers after a thought that was skipped",
    "deepconf_online": "every token's alternatives as they arrive",
    "certaindex": "answers asked for in the middle of a thought",
    "deepprune": "what a judge of pairs says",
    "atts": "what a target model thinks of each turn of a draft; the authors' own run is in fidelity_stopping.py",
}
"""What strategies ask that no pool here holds, so that fewer than three real models' samples answer them."""


@dataclass(frozen=True)
class Trial:
    """A strategy with parameters, on sources by name, at so many samples."""

    strategy: str
    sources: tuple[str, ...]
    n: int
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.strategy}({settings})" if settings else self.strategy


LLAMA, LETTERS, GPQA = "MATH-500 R1-Llama-8B", "last letters GPT-3.5", "GPQA Llama-3.3-70B"
CODE, PRM, REWARD = "HumanEval CodeGen-16B", "MATH-500 Qwen2.5-1.5B", "MATH-100 Qwen2.5-Math"
REASONERS = tuple(f"AIME {model}" for model in ("R1", "QwQ", "Qwen3"))
IO, COT = "game of 24 GPT-4 io", "game of 24 GPT-4 cot"
OWN, CALC, COUNTDOWN = "arithmetic SmolLM2-135M", "calc tiny", "countdown tiny"
SURE = (OWN, CALC, COUNTDOWN)
TINY = ("live: calc tiny", "live: countdown tiny")
WORLDS = ("simulated: sure", "simulated: torn", "simulated: misled")
MANY = (LLAMA, LETTERS, GPQA, *REASONERS, OWN, CALC)
FEW = (LLAMA, LETTERS, OWN)

TRIALS = (
    # Voting and selection
    Trial("self_certainty", SURE, 16),
    Trial("rpc", (LLAMA, *SURE), 16),
    Trial("weighted_majority", (GPQA, PRM, CODE), 16),
    Trial("weighted_majority", (REWARD,), 8, {"scale": "minmax"}),
    Trial("best_of_n", (GPQA, PRM, CODE, REWARD), 16),
    Trial("best_of_majority", (GPQA, PRM, CODE, REWARD), 16),
    Trial("length_selected", (*REASONERS, LLAMA, LETTERS, OWN, CALC), 8),
    Trial("length_selected", REASONERS, 8, {"prefer": "longest"}),
    Trial("marker_selected", (PRM, IO, COT), 16),
    Trial("marker_selected", (PRM, IO, COT), 16, {"marker": "discourse"}),
    Trial("multi_temperature", (CALC, COUNTDOWN, "arithmetic, 4 temperatures"), 16),
    Trial("hedged", (CALC, COUNTDOWN, "arithmetic, 4 temperatures"), 8),
    Trial("xmbr", (CALC, COUNTDOWN, "arithmetic, 4 temperatures"), 8, {"utility": "answers", "m": 0}),
    Trial("xmbr", WORLDS, 8),
    Trial("chops", WORLDS, 8),
    Trial("universal_self_consistency", WORLDS, 8),
    Trial("nothinking", WORLDS, 8, {"rule": "borda"}),
    # Stopping
    Trial("adaptive_consistency", MANY, 24),
    *(Trial("adaptive_consistency", FEW, 24, {"rule": rule}) for rule in ("dirichlet", "crp", "entropy", "share")),
    Trial("early_stopping_consistency", MANY, 24),
    Trial("saturation", MANY, 24),
    Trial("first_finish", (*REASONERS, OWN, CALC), 8),
    Trial("first_finish", (*REASONERS, OWN, CALC), 8, {"k": 3}),
    Trial("first_finish", (*REASONERS, OWN, CALC), 8, {"last": True}),
    Trial("deepconf", SURE, 32, {"keep": 0.1}),
    Trial("deepconf", SURE, 32, {"keep": 0.9}),
    Trial("deepconf_online", (CALC, COUNTDOWN), 32, {"window": 16}),
    Trial("certaindex", (*TINY, WORLDS[0], WORLDS[1]), 8),
    # Redundancy
    Trial("deepprune", (*TINY, *WORLDS), 16, {"truncate": 8}),
    Trial("atts", WORLDS, 8, {"chunk": 40}),
)  # fmt: skip


def row(trial: Trial, source: Source, replicates: int) -> Row:
    """A trial next to majority on the same draws, at what it spends."""
    most = min(trial.n, source.most)
    parameters = dict(trial.parameters)
    if trial.strategy == "atts":
        parameters["n"] = most
    budget = source.most if trial.strategy in WITHOUT_N else most
    opened = dict(source.opened())
    if Needs.SCORES not in catalogue.strategy(trial.strategy).needs:
        del opened["verifier"]  # nobody would ask it
    found = evaluate(
        source.problems, strategies=["majority", trial.strategy], budgets=[f"{n} samples" for n in (1, budget) if n <= budget],
        parameters={trial.strategy: parameters}, replicates=replicates, **source.settings, **opened,
    )  # fmt: skip
    made = next(each for each in reversed(found.rows) if each.strategy == trial.strategy)
    assert made.unanswered < 1, f"{trial.label}: no run has an answer, which says nothing about the strategy"
    return made


def verdict(row: Row) -> str:
    """What the interval of the difference says."""
    assert row.difference_low is not None, "every source is graded, and majority is there"
    assert row.difference_high is not None
    return "**worse**" if row.difference_high < 0 else "**better**" if row.difference_low > 0 else "no difference seen"


def points(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    """Per cent, or percentage points, with an interval."""
    middle, least, most = (f"{100 * (each or 0.0):{sign}.1f}" for each in (value, low, high))
    return f"{middle} [{least}, {most}]"


def line(trial: Trial, name: str, given: argparse.Namespace) -> Row:
    """What this trial came to on the source of this name; kept in the folder, where that is there."""
    label = re.sub(r"[^\w.=-]+", "-", f"{trial.label} {trial.n} {name} {PROBLEMS} x {given.replicates}")
    kept = given.record / "lines" / f"{label}.json" if given.record else None
    if kept is not None and kept.exists():
        return Row(**json.loads(kept.read_text()))
    found = row(trial, sources(given)[name], given.replicates)
    print(f"{trial.label}, {name}: {verdict(found)}", file=sys.stderr, flush=True)
    if kept is not None:
        kept.with_suffix(".new").write_text(json.dumps(asdict(found)))
        kept.with_suffix(".new").rename(kept)
    return found


_OPENED: dict[str, Source] = {}


def sources(given: argparse.Namespace) -> Mapping[str, Source]:
    """All that are here, opened once in each process."""
    if not _OPENED:
        _OPENED.update(simulated())
        if given.data is not None:
            _OPENED.update(recorded(Path(given.data)))
        if given.record is not None:
            _OPENED.update(own(given.record) | live())
    return _OPENED


def document(found: Sequence[tuple[Trial, str, Row]], units: Mapping[str, str], replicates: int) -> Iterator[str]:
    """What the table says in short, and the table."""
    there = {(trial.label, name) for trial, name, _ in found}
    missing = [trial.label for trial in TRIALS for name in trial.sources if (trial.label, name) not in there]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for trial, _, each in found:
        counts[trial.label][verdict(each).strip("*")] += 1
    yield "# Every strategy against plain majority"
    yield ""
    yield "Made by `python benchmarks/evidence.py --record FOLDER`, with `OUTTHINK_SHARED_DATA` naming the recorded pools; not"
    yield f"edited by hand. Each line: at most {PROBLEMS} problems, {replicates} replicates. Majority is what plain voting gives"
    yield "for the same spending: tokens with prompts, or characters or samples where tokens were not recorded. The gap, in"
    yield "points, is paired by problem and has its 95% interval; of all these intervals one in twenty misses by chance."
    yield ""
    yield "Recorded scores are free: what a verifier cost was not recorded. *simulated* are toy models with a judge that errs (it"
    yield "approves right answers in 80% and wrong ones in 30%), for what no recording holds: what judges and continuations say."
    if missing:
        yield ""
        yield f"Not run here: {len(missing)} of {len(missing) + len(found)} lines, of {', '.join(dict.fromkeys(missing))}."
    real: dict[str, set[str]] = defaultdict(set)
    for trial, name, _ in found:
        real[trial.strategy] |= set() if name.startswith("simulated") else {name}
    few = [f"{name} ({len(models)}; {UNRECORDED.get(name, 'not run here')})" for name, models in real.items() if len(models) < 3]
    yield ""
    yield "On samples of fewer than three real models or sets of problems, because no recording holds what they ask:"
    yield f"{', '.join(few) or 'none'}."
    yield ""
    for name in ("better", "worse"):
        named = [f"{label} ({each[name]} of {each.total()})" for label, each in counts.items() if each[name]]
        yield f"- {name} than majority somewhere: {'; '.join(named) or 'none'}"
    never = [label for label, each in counts.items() if not each["better"] and not each["worse"]]
    yield f"- no difference seen anywhere: {'; '.join(never) or 'none'}"
    yield ""
    yield "| strategy | samples of | budget | spent | accuracy | majority | gap | verdict |"
    yield "|---|---|--:|--:|---|--:|---|---|"
    for trial, name, each in found:
        counted = each.equal == "samples"
        spent = f"{each.samples:.1f} samples" if counted else f"{each.tokens:,.0f} {units[name]}"
        yield (
            f"| {trial.label} | {name} | {each.budget} | {spent} "
            f"| {points(each.accuracy, each.low, each.high)} | {100 * (each.baseline_accuracy or 0.0):.1f} "
            f"| {points(each.difference, each.difference_low, each.difference_high, '+')} | {verdict(each)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("OUTTHINK_SHARED_DATA"))
    parser.add_argument("--record", type=Path, help="a folder: make pools of the tiny and the embedded model there, and ask both")
    parser.add_argument("--replicates", type=int, default=1)
    parser.add_argument("--only", help="only this strategy")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = parser.parse_args()
    if given.record is not None:
        (given.record / "lines").mkdir(parents=True, exist_ok=True)
    here = sources(given)
    asked = [(trial, name) for trial in TRIALS for name in trial.sources if name in here and given.only in (None, trial.strategy)]
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as workers:
        waiting = [(trial, name, workers.submit(line, trial, name, given)) for trial, name in asked]
        found = [(trial, name, each.result()) for trial, name, each in waiting]
    print("\n".join(document(found, {name: source.unit for name, source in here.items()}, given.replicates)))


if __name__ == "__main__":
    main()
