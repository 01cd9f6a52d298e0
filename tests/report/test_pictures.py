"""Pictures say what the figures say, show themselves in a notebook, and are files whole or not at all."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outthink.core.errors import BadInput, MissingExtra
from outthink.evaluation.curves import Point
from outthink.evaluation.intervals import Interval
from outthink.evaluation.prefixes import ORACLE
from outthink.report.curves import Curves
from outthink.report.picture import Picture

ACCURACY = {"majority": {1: 0.4, 4: 0.6, 16: 0.7}, "best_of_n": {1: 0.4, 4: 0.5, 16: 0.3}, ORACLE: {1: 0.4, 4: 0.8, 16: 0.9}}


def found(*ns: int, name: str = "pool/model") -> Curves:
    points = [
        Point(selector, n, Interval(accuracy[n], accuracy[n] - 0.1, accuracy[n] + 0.05), Interval(accuracy[n], 0.0, 1.0), None)
        for selector, accuracy in ACCURACY.items()
        for n in ns
    ]
    return Curves(name, 5, tuple(points))


def test_curves_are_drawn_as_they_were_measured() -> None:
    curves = found(16, 1, 4)
    (axes,) = curves.plot().axes
    drawn = [line for line in (np.asarray(each.get_xydata()).tolist() for each in axes.lines) if len(line) == 3]
    assert sorted(drawn) == sorted([[n, value] for n, value in sorted(accuracy.items())] for accuracy in ACCURACY.values())
    bands = [band.get_datalim(axes.transData) for band in axes.collections]
    assert [(band.y0, band.y1) for band in bands] == [pytest.approx((0.3, 0.75)), pytest.approx((0.2, 0.55))], "no oracle's"
    assert {text.get_text() for text in axes.texts} == {"majority", "best of n", ORACLE, "one sample"}


def test_without_one_sample_there_is_no_level_and_a_single_number_is_a_point_with_its_interval() -> None:
    (axes,) = found(4).plot().axes
    assert {text.get_text() for text in axes.texts} == {"majority", "best of n", ORACLE}
    assert len(axes.containers) == len(ACCURACY)


def test_a_notebook_shows_the_figure_though_pyplot_was_never_imported() -> None:
    shown = found(1, 4, name="$\\frac$ \x1b[31m\u202e\ud800").plot()
    assert shown._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.b.PDF", b"%PDF")])
def test_the_ending_says_which_kind(tmp_path: Path, name: str, begins: bytes) -> None:
    assert found(1, 4).plot(str(tmp_path / name)) == tmp_path / name
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["plot", "plot.jpg", ".png", "png", "plot.png.part", "plot.png/"])
def test_another_ending_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "plot.png"
    folder.mkdir()
    with pytest.raises(BadInput, match="can't be written"):
        found(1).plot(f"{tmp_path}/{name}")
    assert [*tmp_path.rglob("*")] == [folder]


def test_a_picture_that_fails_halfway_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Picture, file: Path, **given: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    path = found(1, 4).plot(tmp_path / "plot.png")
    before = path.read_bytes()
    monkeypatch.setattr(Picture, "savefig", full)
    with pytest.raises(BadInput, match="No space left"):
        found(1).plot(path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "outthink.report.picture")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"outthink\[evaluate\]"):
        found(1).plot(tmp_path / "plot.png")
    assert not [*tmp_path.iterdir()]
    assert "majority" in str(found(1)), "the table needs none"


def test_nothing_measured_is_nothing_to_draw() -> None:
    with pytest.raises(BadInput, match="nothing has an accuracy"):
        Curves("none", 0, ()).plot()
