"""`outthink fit`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from outthink.laws.law import Law
from tests.cli.conftest import Outthink


@pytest.fixture
def counts(outthink: Outthink) -> str:
    rng = np.random.default_rng(0)
    rows = [f"60,{c}" for c in rng.binomial(60, rng.beta(0.4, 4.0, 80))]
    Path("counts.csv").write_text("\n".join(["n,c", *rows]) + "\n")
    return "counts.csv"


def test_forms_are_fitted_compared_and_asked(outthink: Outthink, counts: str) -> None:
    said = outthink(
        "fit", counts, "--form", "beta-binomial", "--form", "log_linear", "--budgets", "60,300,10k", "--target", "0.7",
        "--gain", "0.002", "--resamples", "20", "--plot", "out.png", "--save", "law.json",
    )  # fmt: skip
    assert said.code == 0
    assert "→ beta_binomial" in said.out
    assert "with a mean error of" in said.out
    assert "score at 300 samples: 0." in said.out
    assert "score at 10000 samples: refused: 10000 samples is more than 10 times beyond" in said.out
    assert "samples for a score of 0.7: " in said.out
    assert "samples from which one more adds at most 0.002: " in said.out
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    assert Law.from_json(Path("law.json").read_text()).form_name == "beta_binomial"


def test_json_is_one_document(outthink: Outthink, counts: str) -> None:
    found = outthink("fit", counts, "--form", "power_law", "--budgets", "100,1M", "--resamples", "10", "--json").document
    assert found["chosen"] == "power_law"
    assert [each["value"] is None for each in found["answers"]] == [False, True]
    assert Law.from_json(json.dumps(found["laws"]["power_law"])).largest == 60
    assert found["held_out"]["errors"]["power_law"] > 0


def test_stopped_counts_go_by_likelihood_alone(outthink: Outthink) -> None:
    Path("stopped.csv").write_text("n,c\n" + "".join(f"{n},1\n" for n in range(1, 40)) + "200,0\n")
    refused = outthink("fit", "stopped.csv", "--stopped", "--form", "power_law")
    assert refused.code == 2
    assert "stopped by success" in refused.err
    fitted = outthink("fit", "stopped.csv", "--stopped", "--resamples", "10")
    assert fitted.code == 0, fitted.err
    assert "(beta_binomial)" in fitted.out
    assert "not tested on held-out budgets" in fitted.out
    assert "only 10 resamples: the ends of its intervals are rough" in fitted.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "no such file"),
        (["counts.csv", "--form", "cubic"], "no form is called"),
        (["counts.csv", "--form", "power_law", "--all"], "choose --form or --all"),
        (["counts.csv", "--budgets", "ten"], "not a number such as"),
        (["counts.csv", "--form", "power_law", "--hold-out", "2"], "between 0 and 1"),
        (["counts.csv", "--form", "power_law", "--resamples", "1"], "resamples: is 1 and must be at least 2"),
        (["counts.csv", "--seed", "-1"], "seed: is -1 and must be at least 0"),
        (["counts.csv", "--unit", "tokens"], "is a table of counts, of which unit says nothing"),
        (["counts.csv", "--strategy", "majority"], "of which strategy says nothing"),
        (["counts.csv", "--form", "power_law", "--resamples", "2", "--plot", "no/such/place.png"], "folder that doesn't exist"),
        (["counts.csv", "--form", "power_law", "--resamples", "2", "--save", "no/such/law.json"], "can't be written"),
    ],
)
def test_what_can_not_be_done_is_said(outthink: Outthink, counts: str, words: list[str], message: str) -> None:
    said = outthink("fit", *words)
    assert said.code == 2
    assert message in said.err
