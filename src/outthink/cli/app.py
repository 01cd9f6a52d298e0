"""The group of all commands, its help and its configuration file."""

from __future__ import annotations

from pathlib import Path

import click

from outthink.cli import config
from outthink.cli.compare import compare
from outthink.cli.demo import demo
from outthink.cli.evaluate import evaluate
from outthink.cli.failures import EXIT_CODES
from outthink.cli.fit import fit
from outthink.cli.keys import keys
from outthink.cli.pool import pool
from outthink.cli.probe import probe
from outthink.cli.record import record
from outthink.cli.resume import resume
from outthink.cli.serve import serve
from outthink.cli.solve import solve
from outthink.cli.strategies import strategies
from outthink.cli.view import view

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="outthink")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings in TOML; default: outthink.toml if there.")
@click.pass_context
def app(context: click.Context, file: Path | None) -> None:
    """Better answers from a language model by spending compute at inference time."""
    path = file or config.DEFAULT_FILE
    if file is not None or path.is_file():
        group = context.command
        assert isinstance(group, click.Group)
        context.default_map = config.default_map(group, config.read(path), str(path))


for command in (solve, evaluate, record, pool, compare, fit, strategies, probe, resume, view, serve, keys, demo):
    app.add_command(command)
