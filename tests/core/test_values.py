"""Keys, seeds, log-probabilities, prompts, sampling and problems."""

from __future__ import annotations

import itertools
import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput, UnknownName
from outthink.core.key import Key, rng_of, seed_of
from outthink.core.logprobs import LogprobNeed, Logprobs, self_certainty
from outthink.core.operation import Cancel, Generate, Handle, Invoke, Next, Score, Start
from outthink.core.problem import Problem
from outthink.core.prompt import Message, Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.sampling import Sampling
from outthink.core.selection import Selection
from outthink.core.strategy import strategy

keys = st.builds(Key, st.text(), st.lists(st.integers(-3, 9), max_size=3).map(tuple), st.integers(0, 9), st.integers(-1, 9))
rows = st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=12).map(lambda ps: sorted((p / sum(ps) for p in ps), reverse=True))


@given(keys, keys)
def test_different_keys_have_different_names_and_seeds(one: Key, other: Key) -> None:
    assert (one == other) == (str(one) == str(other))
    assert (one == other) == (seed_of(0, one) == seed_of(0, other))
    assert 1 <= seed_of(0, one) < 2**31
    assert seed_of(0, one) == seed_of(0, str(one)) != seed_of(1, one)
    assert rng_of(0, one).random() == rng_of(0, one).random()


def test_hostile_names_have_seeds_too() -> None:
    assert seed_of(0, Key("\ud800\x00")) != seed_of(0, Key("?\x00"))
    assert Problem("what is \ud800?").id != Problem("what is ??").id


@given(rows, st.integers(0, 5))
def test_self_certainty_is_the_divergence_from_uniform(row: list[float], dropped: int) -> None:
    kept = row[: max(1, len(row) - dropped)]
    rest = len(row) - len(kept)
    tail = max(1 - sum(kept), 1e-9)
    full = kept + [tail / rest for _ in range(rest)]
    expected = sum(1 / len(full) * math.log((1 / len(full)) / p) for p in full)
    assert self_certainty([math.log(p) for p in kept], len(full)) == pytest.approx(expected, abs=1e-6)


@given(st.integers(2, 1000), st.integers(1, 20))
def test_a_uniform_token_has_no_certainty_and_a_sharper_one_more(vocabulary: int, k: int) -> None:
    k = min(k, vocabulary)
    assert self_certainty([-math.log(vocabulary)] * k, vocabulary) == pytest.approx(0.0, abs=1e-6)
    sharper = [self_certainty([math.log(p)], vocabulary) for p in (1.01 / vocabulary, 0.6, 0.9, 0.99) if p < 1]
    assert all(one < other for one, other in itertools.pairwise(sharper[1:]))


def test_the_summary_is_the_slow_formula() -> None:
    found = Logprobs(array("d", [-0.5, -2.0]), array("d", [-0.5, -1.5, -1.0, -math.inf]), 2, 2).summary()
    assert found["mean_logprob"] == -1.25
    assert (found["sum_logprob"], found["min_logprob"]) == (-2.5, -2.0)
    assert found["token_confidence"] == pytest.approx((1.0 + 1.0) / 2), "a missing alternative doesn't count"
    assert "self_certainty" in found, "all of the vocabulary is known"
    assert Logprobs(array("d"), array("d"), 2).summary() == {}
    assert "self_certainty" not in Logprobs(array("d", [-1.0]), array("d", [-1.0]), 1).summary()
    with pytest.raises(ValueError, match="rows of 2"):
        Logprobs(array("d", [-0.5]), array("d", [-0.5]), 2)
    assert LogprobNeed(3).joined(LogprobNeed(1, keep=True)) == LogprobNeed(3, keep=True)


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -1}, {"temperature": float("nan")}, {"temperature": "hot"}, {"top_p": 0}, {"top_p": float("nan")},
        {"top_k": -1}, {"top_k": 1.5}, {"min_p": 1}, {"max_tokens": 0}, {"max_tokens": 1.5}, {"max_tokens": True},
        {"stop": ["\n"]}, {"stop": ("",)}, {"stop": (1,)}, {"stop": "x"}, {"presence_penalty": 3}, {"frequency_penalty": -3},
        {"repeat_penalty": 0}, {"repeat_penalty": float("inf")}, {"max_tokens": 10**20}, {"top_k": 2**31}, {"stop": 5},
    ],
)  # fmt: skip
def test_sampling_refuses_what_no_server_takes(setting: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=f"^sampling: {next(iter(setting))} is"):
        Sampling(**setting)
    if setting not in ({"stop": ["\n"]}, {"stop": "x"}):  # as JSON and TOML write it
        with pytest.raises(BadInput):
            Sampling().but(**setting)


def test_settings_are_changed_by_name() -> None:
    assert Sampling().but(temperature=None, top_k=3) == Sampling(top_k=3)
    with pytest.raises(UnknownName, match="did you mean temperature"):
        Sampling().but(temprature=1)


def test_a_prompt_is_a_chat_or_a_text() -> None:
    for wrong in ({}, {"text": "a", "messages": (Message("user", "b"),)}):
        with pytest.raises(BadInput):
            Prompt(**wrong)  # type: ignore[arg-type]
    talk = Prompt.chat("q", system="s").continued("begun ").continued("more")
    assert talk.prefix == "begun more"
    closed = talk.then(Message("user", "next"))
    assert [(turn.author, turn.content) for turn in closed.messages][2:] == [("assistant", "begun more"), ("user", "next")]
    assert closed.prefix == ""
    with pytest.raises(BadInput):
        Prompt.raw("x").then(Message("user", "y"))


@pytest.mark.parametrize("text", ["", "  \n", None])
def test_a_problem_has_a_text(text: Any) -> None:
    with pytest.raises(BadInput, match="not empty"):
        Problem(text)


def test_a_strategy_never_gets_the_gold_answer() -> None:
    assert Problem("q", gold="42").without_gold().gold is None


def test_fingerprints_are_those_of_old_journals() -> None:
    """A resume compares them with what a journal holds, which may have been written by any version."""
    key, sampling = Key("r", (1,), 2), Sampling(temperature=1, stop=("\n", "ü")).but(max_tokens=32)
    chat = Prompt.chat("Was ist „1+1“?", system="Kurz.", prefix="Es ist\n\ud800")
    raw = Prompt((), "2+2=", "", '{"tools": []}')
    generate = Generate(key, (chat, raw), None, sampling, 2, LogprobNeed(5, True), "judge", (None, 0.5))
    plain = Generate(key, (raw.continued("4"),), 3, Sampling())
    score = Score(key, Problem("Q", "p"), (Sample(key.sample(0), "x", Finish.EOS),))
    invoke = Invoke(key, "task", "answers", {"texts": ["é"], "n": 1.0})
    started = Start(key, plain, 4, None)
    found = [
        each.digest() for each in (generate, plain, score, invoke, started, Next(key, (Handle(key),)), Cancel(key, Handle(key)))
    ]
    assert found == [
        "a01906c484cc1898", "7ff4dae552dc360a", "0746a7df27e1997a", "2f9f4eb42e291c61", "3f7e9e538387a0af", "2da375e4225eded0",
        "6181122c39c6ef98",
    ]  # fmt: skip


def test_a_change_that_is_kept_is_the_one_that_was_asked_for() -> None:
    settings = Sampling()
    whole, real = settings.but(temperature=1), settings.but(temperature=1.0)
    assert settings.but(temperature=1) is whole
    assert (whole, whole.plain() == real.plain()) == (real, False), "fingerprints tell them apart"
    with pytest.raises(BadInput, match="temperature is True"):
        settings.but(temperature=True)
    assert settings.but(stop=["a"]) == settings.but(stop=("a",)) == settings.but(stop="a")
    with pytest.raises(BadInput, match=r"stop is \('a', 1\) and must be a tuple of strings that are not empty"):
        settings.but(stop=["a", 1])
    assert [settings.but(max_tokens=n).max_tokens for n in (*range(1, 200), 1)] == [*range(1, 200), 1]


def test_a_parameter_is_what_its_annotation_says() -> None:
    """A float may have a whole default; numpy's numbers of 64 bits are floats; one default may stand for two kinds."""

    @strategy("told")
    async def told(run: Run, problem: Problem, share: float = 0, many: int | str = 3, old=2) -> Selection:  # type: ignore[no-untyped-def]
        """Does nothing."""

    values = {"share": np.linspace(0, 1, 3)[1], "many": "all", "old": 3}
    assert told.bound(values) == values
    for wrong in ({"share": np.float64("nan")}, {"share": "0.5"}, {"many": 0.5}, {"many": np.float64(1)}, {"old": "2"}):
        with pytest.raises(BadInput, match=f"^told.{next(iter(wrong))}: "):
            told.bound(wrong)
