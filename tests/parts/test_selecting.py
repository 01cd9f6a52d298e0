"""The parts behind selection strategies, by worked numbers and against slower or other ways to the same thing."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import PoolMiss
from outthink.core.key import Key
from outthink.core.problem import Problem
from outthink.core.prompt import Message, Prompt
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.core.thinking import marks_in
from outthink.parts import choosing, features, gating, pruning, recordings, thinking, utilities, weibull


def sample(text: str, at: int = 0, **how: object) -> Sample:
    return Sample(Key("r", (), 0, at), text, Finish.EOS, **how)  # type: ignore[arg-type]


# Two Weibulls


def drawn(n: int, share: float, high: tuple[float, float], low: tuple[float, float], seed: int) -> list[float]:
    chance = random.Random(seed)
    return [chance.weibullvariate(*reversed(high if chance.random() < share else low)) for _ in range(n)]


def test_a_known_mixture_is_found_again() -> None:
    found = weibull.fitted(drawn(4000, 0.6, (12.0, 0.9), (6.0, 0.4), seed=1))
    assert found is not None
    assert found.share == pytest.approx(0.6, abs=0.03)
    assert weibull.mean(*found.high) == pytest.approx(weibull.mean(12.0, 0.9), rel=0.01)
    assert weibull.mean(*found.low) == pytest.approx(weibull.mean(6.0, 0.4), rel=0.02)


@pytest.mark.parametrize(("n", "seed"), [(16, 3), (40, 4), (128, 5)])
def test_the_optimum_is_the_one_of_scipy(n: int, seed: int) -> None:
    optimize, np = pytest.importorskip("scipy.optimize"), pytest.importorskip("numpy")
    values = np.array(drawn(n, 0.5, (10.0, 0.9), (4.0, 0.5), seed))

    def loss(p: list[float]) -> float:
        parts = [p[0] * _density(values, p[1], p[2]), (1 - p[0]) * _density(values, p[3], p[4])]
        return float(-np.log(sum(parts)).sum())

    def _density(x: object, k: float, scale: float) -> object:
        ratio = x / scale  # type: ignore[operator]
        return k / scale * ratio ** (k - 1) * np.exp(-(ratio**k))

    bounds = [(0.2, 0.8), *[(0.01, None)] * 4]
    theirs = optimize.minimize(loss, [0.5, 1.0, 1.0, 1.5, 2.0], bounds=bounds, method="L-BFGS-B")
    found = weibull.fitted(values.tolist())
    assert found is not None
    assert loss([found.share, *found.high, *found.low]) == pytest.approx(theirs.fun, abs=1e-3)


@pytest.mark.parametrize("values", [[], [0.5] * 9, [0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.2, 0.3, 0.4]])
def test_no_mixture_where_there_can_be_none(values: list[float]) -> None:
    assert weibull.fitted(values) is None
    assert pruning.by_mixture(values) == [True] * len(values)


@given(st.lists(st.floats(1e-6, 1.0), max_size=12))
def test_pruning_leaves_something_and_never_the_surer_one_out(values: list[float]) -> None:
    for rule in pruning.RULES.values():
        stays = rule([None, *values])
        assert stays[0]
        assert any(stays[1:]) or not values
        mean = math.fsum(values) / len(values) if values else 0
        assert all(stay for value, stay in zip(values, stays[1:], strict=True) if value > mean)


# Gates


def test_shares_and_counts() -> None:
    votes = {"a": 3.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": 1.0}
    assert gating.frequent(votes, 0.0) == ["a", "b", "c", "d", "e"]
    assert gating.frequent(votes, 0.3) == ["a", "b"]  # 0.3 x 10 is 3 votes, whatever rounding says
    assert gating.frequent(votes, 0.0, least=2) == ["a", "b", "c"]
    assert gating.frequent(votes, 0.31) == []


def test_what_is_handed_in() -> None:
    chosen = Selection("b", "b", votes={"b": 0.9, "a": 0.1})
    majority = Selection("a", "a", votes={"a": 5.0, "c": 2.0, "b": 1.0})
    assert gating.handed_in(chosen, majority, 2).submissions == ("b", "a")
    assert gating.handed_in(chosen, majority, 9).submissions == ("b", "a", "c"), "then the most frequent of the others"


@pytest.mark.parametrize(("pooled", "wins"), [("best", "b"), ("mean", "a")])
def test_pooled_scores(pooled: str, wins: str) -> None:
    answers = [Answer("a", "a"), Answer("b", "b"), Answer("a", "a"), Answer("b", "b")]
    scores = [-0.5, -0.1, -0.6, -2.0]  # raw logits of a reward model may be negative
    samples = [sample("", at) for at in range(4)]
    assert gating.best(samples, answers, scores, gating.POOLED[pooled]).answer == wins


# Texts


def test_markers_are_words() -> None:
    assert features.rate("Wait, hmm. I was waiting; awaited!", "thinking") == pytest.approx(1000 * 2 / 6)
    assert features.rate("I am NOT sure. Maybe not\nsure?", "hedging") == pytest.approx(1000 * 3 / 7)
    assert features.rate("", "hedging") == 0.0


@given(st.text(), st.sampled_from(sorted(features.MARKERS)))
def test_saying_it_twice_changes_no_rate(text: str, kind: str) -> None:
    twice = f"{text} . {text}"
    assert features.rate(twice, kind) == pytest.approx(features.rate(text, kind))


def test_lengths_are_tokens_or_characters_never_both() -> None:
    assert features.lengths([sample("abc", tokens=7), sample("a", tokens=2)], "x") == [7, 2]
    assert features.lengths([sample("abc", tokens=7), sample("a")], "x") == [3, 1]
    with pytest.raises(PoolMiss, match="x reads what samples say"):
        features.lengths([sample("abc", meta={recordings.ANSWER_ONLY: True})], "x")


def test_repeats() -> None:
    kept = [sample("a"), sample("b"), sample("a"), sample("a")]
    assert recordings.repeats(kept) == [False, False, True, True]
    lost = [sample("a", meta={recordings.ANSWER_ONLY: True}) for _ in range(3)]
    assert recordings.repeats(lost) == [False] * 3, "equal answers are not equal paths"


# Utilities


def test_chrf_of_worked_texts() -> None:
    # abc against abd: 2 of 3 letters, 1 of 2 pairs, 0 of 1 triple, and no longer n-grams in either.
    assert utilities.chrf("abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert utilities.chrf("a b c", "abc") == 1.0
    assert utilities.chrf("", "") == 1.0
    assert utilities.chrf("", "a") == 0.0
    # Recall counts more: leaving out hurts more than saying more.
    assert utilities.chrf("abcabc", "abc") > utilities.chrf("abc", "abcabc")


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
def test_expected_equality_is_the_share_of_votes(classes: list[str]) -> None:
    found = utilities.expected(utilities.matches(classes, classes), len(classes), len(classes))
    assert found == pytest.approx([classes.count(each) / len(classes) for each in classes])


# Choosing


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("Choice: 2", 1),
        ("choice is response 3.", 2),
        ("Choice: 1\nOn second thought\n**Choice:** 3", 2),
        ("Choice: 4", None),
        ("Choice: 0", None),
        ("Choice: tie", None),
        ("2", None),
        ("", None),
    ],
)
def test_a_choice_is_read_or_none(reply: str, place: int | None) -> None:
    assert choosing.choice(reply, 3) == place


def test_preferences_are_read() -> None:
    assert [choosing.preference(reply) for reply in ("Choice: 1", "Choice: 2", "Choice: TIE", "Choice: 7", "so")] == [
        1.0, 0.0, 0.5, None, None,
    ]  # fmt: skip


def test_braces_in_texts_stay() -> None:
    (message,) = choosing.asked(choosing.CONSISTENT, Problem("{texts}?"), ["{problem}", "{count}"]).messages
    assert "{texts}?" in message.content
    assert "Response 1:\n{problem}" in message.content
    assert "Response 2:\n{count}" in message.content


def test_another_language_is_asked_for_at_the_end() -> None:
    asked = choosing.in_language(Prompt((Message("system", "s"), Message("user", "u")), prefix="p"), "Chinese")
    assert asked.messages[-1].content == "u\n\nRespond in Chinese."
    assert (asked.messages[0].content, asked.prefix) == ("s", "p")
    assert choosing.in_language(Prompt.raw("u"), "Chinese").text == "u\n\nRespond in Chinese."


# Thinking


def test_thinking_is_skipped_closed_and_left_out() -> None:
    assert thinking.skipped("done.") == "<think>\ndone.\n</think>\n\n"
    assert thinking.skipped("done.", "") == "done.\n</think>\n\n", "the template opened the block"
    assert thinking.closed("It is 4") == "\n\n"
    assert thinking.closed("<think>It is 4") == "\n</think>\n\n"
    assert thinking.without_thinking("<think>a</think>b</think>c") == "c"
    assert thinking.without_thinking("no mark") == "no mark"
    assert thinking.without_thinking("so <think>never ended") == "so "


@pytest.mark.parametrize(
    ("template", "opened", "marks"),
    [
        ("{{x}}", "assistant:", None),
        ("..</think>..", "<|im_start|>assistant\n", ("<think>", "</think>")),
        ("..</think>..", "<|im_start|>assistant\n<think>\n", ("", "</think>")),
        ("..[/THINK]", "[INST]", ("[THINK]", "[/THINK]")),
    ],
)
def test_marks_of_a_template(template: str, opened: str, marks: tuple[str, str] | None) -> None:
    assert marks_in(template, opened) == marks
