"""`outthink probe`: what a server really does, not what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outthink.cli.options import as_json
from outthink.cli.terminal import Output, Progress

if TYPE_CHECKING:
    from outthink.backends.probe import Finding, ProbeReport


@click.command()
@click.argument("url")
@click.option("--features", help="Only these, with commas between them.")
@as_json
@click.pass_obj
def probe(output: Output, url: str, features: str | None) -> None:
    """Find out what a server really does.

    URL is http://host:port/v1#model; about 60 tiny requests are sent.
    """
    from outthink.api import run_anywhere
    from outthink.backends.probe import FEATURES

    chosen = [name.strip() for name in features.split(",")] if features else FEATURES
    with Progress("probing", total=len(chosen), unit="features") as progress:
        heard = 0

        def told(finding: Finding) -> None:
            nonlocal heard
            heard += 1
            progress.update(heard, remark=f"{finding.feature}: {finding.verdict}")

        async def probed() -> ProbeReport:
            from outthink.backends.openai import OpenAIBackend
            from outthink.backends.probe import probe as find_out

            backend = OpenAIBackend(url)
            try:
                await backend.open()
                return await find_out(backend, chosen, told=told)
            finally:
                await backend.close()

        report = run_anywhere(probed())
    wide = max(len(finding.feature) for finding in report.findings)
    lines = [f"{f.feature:<{wide}}  {f.verdict:<8}  {f.evidence}" for f in report.findings]
    engine = f"{report.engine} {report.version}".strip() or "an engine that doesn't say its name"
    output.show(report.fields(), "\n".join([f"{report.name} ({engine})", *lines]))
