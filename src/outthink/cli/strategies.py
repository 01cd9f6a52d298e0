"""`outthink strategies`: what there is, what it needs, and how to cite it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.options import as_json
from outthink.cli.terminal import Output
from outthink.core.capability import Needs
from outthink.core.errors import BadInput

if TYPE_CHECKING:
    from outthink.core.strategy import Strategy


@click.command()
@click.argument("name", required=False)
@click.option("--cite", is_flag=True, help="Print the references as BibTeX.")
@click.option("--markdown", is_flag=True, help="Print a table for a document.")
@as_json
@click.pass_obj
def strategies(output: Output, name: str | None, cite: bool, markdown: bool) -> None:
    """List the strategies, or describe one.

    With NAME: everything that is known about that strategy.
    """
    from outthink import catalogue

    if cite and markdown:
        raise BadInput("choose one of --cite and --markdown", where="strategies")
    found = [catalogue.strategy(each) for each in ([name] if name else catalogue.strategies())]
    if cite:
        text = "\n\n".join(cited for strategy in found if (cited := bibtex(strategy)))
    elif markdown:
        text = table(found)
    else:
        text = described(found[0]) if name else listed(found)
    output.show([fields(strategy) for strategy in found], text)


def needs_of(strategy: Strategy) -> list[str]:
    """What it needs beyond sampling text, in words; as it is without parameters."""
    asked = strategy.asks({})
    own = asked.get("generator", ()) if isinstance(asked, Mapping) else ()
    needs = {need.value.replace("_", " ") for need in (*strategy.needs, *own) if isinstance(need, Needs)}
    return sorted([*needs, *(role for role in asked if role != "generator")])


def fields(strategy: Strategy) -> dict[str, Any]:
    """Plain JSON."""
    return {
        "name": strategy.name,
        "summary": strategy.summary,
        "needs": needs_of(strategy),
        "parameters": dict(strategy.parameters),
        "paper": strategy.paper,
        "title": strategy.title,
        "races": strategy.races,
        "citation": bibtex(strategy),
    }


def listed(found: list[Strategy]) -> str:
    """One line each, in columns."""
    rows = [("strategy", "needs", "paper", "gives")]
    rows += [(s.name, ", ".join(needs_of(s)) or "-", s.paper or "-", s.summary) for s in found]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[3]]) for row in rows)


def described(strategy: Strategy) -> str:
    """Everything that its file says of it."""
    module = inspect.getmodule(strategy.body)
    parameters = ", ".join(f"{name}={default!r}" for name, default in strategy.parameters.items())
    lines = [
        strategy.name,
        inspect.getdoc(strategy.body) or "",
        "",
        inspect.getdoc(module) or "" if module is not None else "",
        "",
        f"parameters: {parameters or 'none'}",
        f"needs: {', '.join(needs_of(strategy)) or 'nothing beyond sampling text'}",
    ]
    return "\n".join(lines)


def bibtex(strategy: Strategy) -> str:
    """Its reference; "" for a baseline without one."""
    if not strategy.paper:
        return ""
    archive, colon, number = strategy.paper.partition(":")
    if not colon or archive.lower() != "arxiv":
        return f"@misc{{{strategy.name},\n  title = {{{strategy.title}}},\n  note = {{{strategy.paper}}}\n}}"
    return (
        f"@misc{{{strategy.name},\n  title = {{{strategy.title}}},\n  eprint = {{{number}}},\n"
        f"  archivePrefix = {{arXiv}},\n  url = {{https://arxiv.org/abs/{number}}}\n}}"
    )


def table(found: list[Strategy]) -> str:
    """A Markdown table of all."""
    rows = ["| strategy | gives | needs | parameters | paper |", "|---|---|---|---|---|"]
    for strategy in found:
        archive, _, number = strategy.paper.partition(":")
        paper = f"[{strategy.paper}](https://arxiv.org/abs/{number})" if archive == "arXiv" else strategy.paper
        parameters = ", ".join(f"`{name}={default!r}`" for name, default in strategy.parameters.items())
        needs = ", ".join(needs_of(strategy))
        rows.append(f"| `{strategy.name}` | {strategy.summary} | {needs} | {parameters} | {paper} |")
    return "\n".join(rows)
