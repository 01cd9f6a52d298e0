"""A configuration file: the same names as the flags, nothing unknown taken in silence."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click
import pytest

from outthink.cli import config
from outthink.cli.options import pairs
from outthink.core.errors import BadInput, UnknownName


@click.group()
def app() -> None: ...


@app.command()
@click.option("--model")
@click.option("--max-tokens", type=int)
@click.option("--param", multiple=True)
@click.option("--json", "as_json", is_flag=True)
def solve(**_: object) -> None: ...


@app.command("eval")
@click.option("--model")
@click.option("--strategies")
def evaluate(**_: object) -> None: ...


def test_shared_settings_reach_every_command_that_has_the_flag_and_a_table_wins() -> None:
    settings = {
        "model": "a",
        "max-tokens": 7,
        "json": True,
        "eval": {"model": "b", "strategies": ["single", "majority"]},
        "solve": {"param": {"n": 4, "mode": "fast"}},
    }
    assert config.default_map(app, settings, "f.toml") == {
        "solve": {"model": "a", "max_tokens": 7, "as_json": True, "param": ("n=4", "mode=fast")},
        "eval": {"model": "b", "strategies": "single,majority"},
    }


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    said = {"good": "1", "bad": "no", "mark": "\n", "top": 5, "stop": ["true"], "day": date(2026, 1, 2)}
    (texts,) = config.default_map(app, {"solve": {"param": said}}, "f.toml")["solve"].values()
    assert pairs(texts, "--param") == {**said, "day": "2026-01-02"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": "a"}, "modle.*did you mean model"),
        ({"eval": {"max-token": 3}}, r"\[eval\] in f.toml is called 'max-token'"),
        ({"max_tokens": 7}, "did you mean max-tokens"),
    ],
)
def test_an_unknown_setting_is_refused_with_a_suggestion(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        config.default_map(app, settings, "f.toml")


@pytest.mark.parametrize("settings", [{"eval": 3}, {"model": {"a": 1}}, {"strategies": [["nested"]]}])
def test_a_value_of_a_wrong_shape_is_refused_by_place(settings: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"^f\.toml: "):
        config.default_map(app, settings, "f.toml")


def test_a_broken_or_missing_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("model = \n")
    with pytest.raises(BadInput, match=r"broken\.toml: is not valid TOML.*line 1"):
        config.read(broken)
    with pytest.raises(BadInput, match="can't be read"):
        config.read(tmp_path / "absent.toml")
