"""What is read from the replies of judges and reviewers: hostile text gives a verdict, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.problem import Problem
from outthink.core.prompt import Message, Prompt
from outthink.parts import prompts


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("Verdict: correct", True),
        ("... so it holds.\n**Verdict:** Incorrect.", False),
        ("Verdict: correct. No, wait.\nVerdict: incorrect", False),
        ("verdict is wrong", False),
        ("Yes.", True),
        ("no", False),
        ("Verdict: not correct", None),
        ("Verdict: correctness matters", None),
        ("The verdict is still open", None),
        ("Yes and no", None),
        ("It looks right to me", None),
        ("", None),
    ],
)
def test_verdict(reply: str, found: bool | None) -> None:
    assert prompts.verdict(reply) is found


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("Score: 7/10", 0.7),
        ("Score: 3/10 at first.\nScore: **8** / 10", 0.8),
        ("score 4.5", 0.45),
        ("Score: 4/5.", 0.8),
        ("Score: 0/10", 0.0),
        ("Score: 11/10", None),
        ("Score: 5/0", None),
        ("Score: 1234", None),
        ("Score: high", None),
        ("7/10", None),
    ],
)
def test_score(reply: str, found: float | None) -> None:
    assert prompts.score(reply) == found


@given(st.text())
def test_any_reply_can_be_read(reply: str) -> None:
    assert prompts.verdict(reply) in (True, False, None)
    score = prompts.score(f"Score: {reply}")
    assert score is None or 0 <= score <= 1


def test_long_replies_are_read_in_linear_time() -> None:
    assert prompts.verdict("verdict " * 200_000) is None
    assert prompts.score("score: " * 200_000) is None


def test_a_judge_sees_braces_as_they_are() -> None:
    prompt = prompts.judge(Problem("Is {solution} so?"), r"\boxed{7} {problem}")
    assert "Is {solution} so?" in prompt.messages[0].content
    assert r"\boxed{7} {problem}" in prompt.messages[0].content
    assert prompt.messages[0].content.count("Verdict:") == 2


def test_conversations() -> None:
    raw = Prompt.raw("Q: 1+1? A:", prefix=" It")
    talk = prompts.answered(prompts.conversation(raw), " It is 2.", "Sure?")
    assert talk == Prompt(
        (Message("user", "Q: 1+1? A:"), Message("assistant", " It is 2."), Message("user", "Sure?")),
    )
    chat = Prompt.chat("1+1?", system="Be brief.", prefix="It")
    talk = prompts.answered(prompts.conversation(chat), "", "Sure?")
    assert [message.author for message in talk.messages] == ["system", "user", "assistant", "user"]
    assert all(message.content for message in talk.messages)
