"""Finding strategies and verifiers by name, ours and others'."""

from __future__ import annotations

import math
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from outthink import catalogue
from outthink.core.errors import BadInput, UnknownName
from outthink.core.verifier import Verifier
from outthink.strategies.parallel.majority import majority
from outthink.verifiers.judge import Judge
from outthink.verifiers.mean_logprob import MeanLogprob


def test_every_name_gives_what_it_says() -> None:
    for name in catalogue.strategies():
        found = catalogue.strategy(name)
        assert found.name == name
        assert found.summary
        assert found.title or not found.paper
    for name in catalogue.verifiers():
        assert catalogue.verifier(name).name.startswith(name)


def test_hyphens_paths_and_objects() -> None:
    assert catalogue.strategy("weighted-majority") is catalogue.strategy("weighted_majority")
    assert catalogue.strategy("outthink.strategies.parallel.majority:majority") is majority
    assert catalogue.strategy(majority) is majority
    judge = catalogue.verifier("judge", max_tokens=9)
    assert isinstance(judge, Judge)
    assert catalogue.verifier(judge) is judge


def test_listing_imports_nothing() -> None:
    code = (
        "import sys; from outthink import catalogue; catalogue.strategies(); catalogue.verifiers(); "
        "print([name for name in sys.modules if name.startswith(('outthink.strategies.', 'outthink.verifiers.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("find", "name", "error", "words"),
    [
        (catalogue.strategy, "majorty", UnknownName, "did you mean majority"),
        (catalogue.strategy, "parallel", UnknownName, "no strategy"),
        (catalogue.strategy, "os:path", BadInput, "not made by @strategy"),
        (catalogue.strategy, None, BadInput, "it is a NoneType, not made by @strategy"),
        (catalogue.strategy, "no_such_package:x", BadInput, "can't be loaded"),
        (catalogue.verifier, "exakt", UnknownName, "did you mean exact"),
        (catalogue.verifier, "os:sep", BadInput, "a verifier has"),
    ],
)
def test_what_is_not_there_is_said(find: object, name: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        find(name)  # type: ignore[operator]


def test_a_wrong_parameter_is_said() -> None:
    """By its name and what it must be: nobody would understand a constructor's own TypeError."""
    with pytest.raises(UnknownName, match=r"no setting of verifier judge is called 'tokens'; did you mean max_tokens\?"):
        catalogue.verifier("judge", tokens=9)
    for name, wrong, must in [
        ("judge", {"max_tokens": "many"}, "max_tokens: 'many' must be a whole number"),
        ("verdict", {"aggregate": 5}, "aggregate: 5 must be a text"),
        ("verdict", {"top": -1}, "top 2 or more"),
        ("self_certainty", {"top": 0}, "must be at least 1"),
        ("rollouts", {"n": 10**12}, "more than 1,000,000"),
        ("rollouts", {"outcome": "exact"}, "must be a verifier itself"),
        ("reward", {"place": math.nan}, "must be a whole number"),
        ("tests.test_catalogue:made", {"top": 3}, "is made already and takes no settings, such as top"),
    ]:
        with pytest.raises(BadInput, match=must):
            catalogue.verifier(name, **wrong)
    assert catalogue.verifier("tests.test_catalogue:Open", anything=3).name == "open 3"
    # Others' whole numbers need not size anything: a seed may be a date.
    assert catalogue.verifier("tests.test_catalogue:Seeded", seed=20261122).name == "seeded 20261122"


made = Judge()


class Open(MeanLogprob):
    """Takes whatever it is given."""

    def __init__(self, **settings: int) -> None:
        self.name = f"open {settings['anything']}"


class Seeded(MeanLogprob):
    """Has a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.name = f"seeded {seed}"


def test_other_packages_add_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {
        "outthink.strategies": [
            EntryPoint("my-strategy", "outthink.strategies.parallel.majority:majority", "outthink.strategies"),
            EntryPoint("single", "outthink.strategies.parallel.majority:majority", "outthink.strategies"),
            EntryPoint("broken", "no_such_package:x", "outthink.strategies"),
        ],
        "outthink.verifiers": [EntryPoint("mine", "outthink.verifiers.exact:Exact", "outthink.verifiers")],
    }
    monkeypatch.setattr(catalogue, "entry_points", lambda group: entries[group])
    assert {"my_strategy", "broken", "majority"} <= set(catalogue.strategies())
    assert catalogue.strategy("my-strategy") is majority
    assert isinstance(catalogue.verifier("mine"), Verifier)
    with pytest.raises(BadInput, match="name of a built-in"):
        catalogue.strategy("single")
    with pytest.raises(BadInput, match="no_such_package"):
        catalogue.strategy("broken")
