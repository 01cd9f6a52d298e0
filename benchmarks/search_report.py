"""Writes what `search.py` measured: a page with a table per verifier, a picture, and the figures for programs to read."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from outthink.evaluation.comparison import Rung, mixed
from outthink.evaluation.intervals import Interval, accuracy, difference
from outthink.report.drawing import COLOURS, INK

ROOT = Path(__file__).parent.parent
BASELINE = "best_of_n"
DRAWN = ("best_of_n", "best_of_n_steps", "majority", "beam_search", "rebase", "particle_filter", "a_star")
TITLES = {
    "trained": "trained verifier",
    "perfect": "perfect verifier",
    "noised": "perfect verifier, every fifth score flipped",
}

SIZES = (4, 16, 64)
ORDERINGS = (
    ("beam_search", "best_of_n", "arXiv:2408.03314", "+ -", "ahead for few samples, behind for many"),
    ("dvts", "beam_search", "search-and-learn", "- +", "behind for few samples, ahead for many"),
    ("rebase", "weighted_majority", "arXiv:2408.00724", "+++", "ahead"),
    ("ets", "rebase", "arXiv:2502.13575", "===", "as good, with a smaller tree"),
    ("particle_filter", "best_of_n", "arXiv:2502.01618", "+++", "ahead"),
    ("particle_filter", "dvts", "arXiv:2502.01618", "+++", "ahead"),
    ("particle_gibbs", "particle_filter", "arXiv:2502.01618", "===", "as good"),
    ("parallel_tempering", "particle_filter", "arXiv:2502.01618", "+++", "ahead"),
    ("a_star", "particle_filter", "arXiv:2505.13672", "+++", "ahead for the same tokens"),
    ("saffron", "best_of_n", "arXiv:2506.06444", "+++", "ahead"),
)
"""What papers say of a strategy beside another: ahead (+), behind (-), as good (=) or nothing at each of `SIZES`; in words."""

Found = dict[str, Any]


def write(folder: Path) -> None:
    """Raises SystemExit where nothing was measured."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise SystemExit(f"{folder} holds no measurements; measure first")
    rows = [row_of(each, found) for each in found]
    rows.sort(key=lambda row: (list(TITLES).index(row["verifier"]), row["n"], -row["accuracy"]))
    figures = ROOT / "benchmarks" / "figures"
    figures.mkdir(exist_ok=True)
    (figures / "search.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (ROOT / "docs" / "search.md").write_text(page(rows, beside_papers(found)), encoding="utf-8")
    picture(rows, ROOT / "docs" / "images" / "search.png")


def ladder(found: list[Found], verifier: str, strategy: str) -> list[Rung]:
    """A strategy's points, each with the credit of every problem."""
    return [
        Rung(sum(each["tokens"]) / len(each["tokens"]), {str(at): float(right) for at, right in enumerate(each["right"])})
        for each in found
        if each["verifier"] == verifier and each["strategy"] == strategy
    ]


def gap_of(each: Found, found: list[Found], other: str) -> tuple[Interval, bool]:
    """Its paired difference to another strategy under the same verifier at the same tokens; whether that was measured there."""
    tokens = sum(each["tokens"]) / len(each["tokens"])
    names = [str(at) for at in range(len(each["right"]))]
    base, inside = mixed(ladder(found, each["verifier"], other), tokens, names)
    return difference([float(right) for right in each["right"]], base), inside


def row_of(each: Found, found: list[Found]) -> Found:
    """One point with its interval, and its difference to the baseline."""
    level: Interval = accuracy(each["right"])
    tokens = sum(each["tokens"]) / len(each["tokens"])
    gap, inside = gap_of(each, found, BASELINE)
    return {
        "verifier": each["verifier"],
        "strategy": each["strategy"],
        "n": each["n"],
        "parameters": each["parameters"],
        "problems": len(each["right"]),
        "tokens": round(tokens, 1),
        "calls": round(sum(each["calls"]) / len(each["calls"]), 1),
        "accuracy": round(level.value, 4),
        "low": round(level.low, 4),
        "high": round(level.high, 4),
        "gain": round(gap.value, 4),
        "gain_low": round(gap.low, 4),
        "gain_high": round(gap.high, 4),
        "compared": inside,
    }


def verdict(row: Found) -> str:
    """Better, worse or neither than best-of-n for the same tokens."""
    if row["strategy"] == BASELINE:
        return ""
    return told(row["gain"], row["gain_low"], row["gain_high"]) + ("" if row["compared"] else " (beyond its budgets)")


def told(gain: float, low: float, high: float) -> str:
    """A difference in points."""
    gap = f"{100 * gain:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"**{gap}**" if low > 0 else f"{gap}, worse" if high < 0 else gap


def beside_papers(found: list[Found]) -> list[str]:
    """Each ordering that a paper reports, and what was measured of it."""
    lines = [
        "## Beside the papers",
        "",
        "What papers report of a strategy beside another, and what was measured here: the paired difference for the same tokens,",
        "in points, by n of the first; bold where the first is ahead. *Yes*: every interval is as the paper says; *no*: one says",
        "the contrary; nothing: this can't tell. \\*: no size of the second costs as much, so its nearest is compared. Their",
        "tasks are longer and their models larger: this tests no paper, and says what became of its ordering on this one.",
        "",
        "| first | second | the paper says of the first | verifier | n = 4 | n = 16 | n = 64 | so here |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for first, second, paper, wanted, says in ORDERINGS:
        for verifier in ("trained", "noised"):
            here = {each["n"]: each for each in found if (each["verifier"], each["strategy"]) == (verifier, first)}
            if not here:
                continue
            gaps = [gap_of(here[n], found, second) for n in SIZES]
            cells = [told(gap.value, gap.low, gap.high) + ("" if inside else "\\*") for gap, inside in gaps]
            so = seen(wanted, [gap for gap, _ in gaps])
            lines.append(f"| {first} | {second} | {says} ({paper}) | {verifier} | {' | '.join(cells)} | {so} |")
    return lines


def seen(wanted: str, gaps: list[Interval]) -> str:
    """Whether differences are as a paper says."""
    signs = ["+" if gap.low > 0 else "-" if gap.high < 0 else "=" for gap in gaps]
    asked = [(want, sign) for want, sign in zip(wanted, signs, strict=True) if want != " "]
    if all(want == sign for want, sign in asked):
        return "yes"
    return "no" if any({want, sign} == {"+", "-"} or (want == "=" and sign != "=") for want, sign in asked) else ""


def page(rows: list[Found], papers: list[str]) -> str:
    """The page as Markdown."""
    by_point: dict[tuple[str, int], list[Found]] = defaultdict(list)
    for row in rows:
        by_point[row["verifier"], row["n"]].append(row)
    lines = [
        "# Search over steps, measured",
        "",
        "Written by `python benchmarks/search.py write` from what `python benchmarks/search.py measure` measured: the",
        f"[tiny reasoner](tiny.md) on {rows[0]['problems']} held-out Countdown problems, temperature 1. Accuracy with its",
        "95% interval over problems. Tokens are per problem: all prompt and completion tokens of generator and verifier,",
        "nothing taken off for prefix caching ([sharing](sharing.md) says what that saves). The last column is the paired",
        "difference to best-of-n *under the same verifier and for the same tokens*, in points; bold where its interval lies",
        "above 0. n is the width of a search, or what grows about as many steps as n answers have. The noised verifier is the",
        "perfect one with every fifth score flipped, always the same ones: it can be wrong about an answer, seldom about all of",
        "its steps. So best_of_n_steps, which multiplies the scores of all steps, is the baseline that shows what comes from",
        "looking at steps alone, without any search. SAFFRON is guided by its own reward model ([tiny-rewards](tiny.md))",
        "instead, one token a step. AB-MCTS and R2 ask in a chat for a better answer, which the tiny reasoner can't read: they",
        "aren't here.",
        "",
        "![Accuracy against tokens by strategy, for three verifiers](images/search.png)",
        "",
        *conclusions(rows),
        "",
        *papers,
    ]
    for verifier, title in TITLES.items():
        for n in sorted({point for name, point in by_point if name == verifier}):
            shown = by_point[verifier, n]
            if n not in SIZES and verifier != "trained":
                continue
            lines += [
                "",
                f"## {title[0].upper()}{title[1:]}, n = {n}",
                "",
                "| strategy | accuracy | tokens | against best-of-n |",
            ]
            lines.append("|---|---|---|---|")
            for row in sorted(shown, key=lambda row: -row["accuracy"]):
                level = f"{100 * row['accuracy']:.1f}% [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
                lines.append(f"| {row['strategy']} | {level} | {row['tokens']:,.0f} | {verdict(row)} |")
    return "\n".join(lines) + "\n"


def conclusions(rows: list[Found]) -> list[str]:
    """Who wins where, and who loses, in sentences made from the rows."""
    lines = ["## Who wins where", ""]
    for verifier, title in TITLES.items():
        for n in SIZES:
            here = [row for row in rows if row["verifier"] == verifier and row["n"] == n and row["strategy"] != BASELINE]
            if not here or not any(row["strategy"] == "beam_search" for row in here):
                continue
            better = [row for row in here if row["gain_low"] > 0]
            worse = [row for row in here if row["gain_high"] < 0]
            best = sorted(better, key=lambda row: -row["gain"])
            won = ", ".join(f"{row['strategy']} ({100 * row['gain']:+.0f})" for row in best) or "nobody"
            lost = ", ".join(row["strategy"] for row in worse) or "nobody"
            lines.append(f"- {title}, n = {n}: better than best-of-n for the same tokens: {won}; worse: {lost}.")
    return lines


def picture(rows: list[Found], path: Path) -> None:
    """Accuracy against tokens, one panel per verifier."""
    drawn, axes = plt.subplots(1, 3, figsize=(13, 4.6), sharey=True, layout="constrained")
    for axis, (verifier, title) in zip(axes, TITLES.items(), strict=True):
        here = [row for row in rows if row["verifier"] == verifier]
        plain = [row for row in rows if row["verifier"] == "trained" and row["strategy"] == "majority"]
        for at, strategy in enumerate(DRAWN):
            points = sorted((row for row in (plain if strategy == "majority" else here) if row["strategy"] == strategy),
                            key=lambda row: row["tokens"])  # fmt: skip
            if not points:
                continue
            tokens = [row["tokens"] for row in points]
            colour, wide = COLOURS[at], strategy == BASELINE
            axis.plot(
                tokens,
                [row["accuracy"] for row in points],
                marker="oDs^vPX"[at],
                markersize=4.5 if len(points) > 1 else 7,
                color=colour,
                linewidth=2.4 if wide else 1.4,
                label=strategy.replace("_", " "),
                zorder=3 if wide else 2,
            )
            if len(points) > 1:
                low, high = [row["low"] for row in points], [row["high"] for row in points]
                axis.fill_between(tokens, low, high, color=colour, alpha=0.09, linewidth=0)
            else:
                only = points[0]
                axis.plot([tokens[0]] * 2, [only["low"], only["high"]], color=colour, linewidth=1)
        axis.set_xscale("log")
        axis.set_title(title, fontsize=11, color=INK)
        axis.set_xlabel("tokens per problem, generator and verifier")
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    axes[0].set_ylabel("problems solved")
    axes[0].set_ylim(0.35, 1)
    handles, labels = axes[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    drawn.savefig(path, dpi=150)
