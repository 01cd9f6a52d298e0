"""A run as JSON says what its result said, whatever state its journal is in."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import outthink
from outthink import catalogue
from outthink.core.capability import Needs
from outthink.core.errors import BadInput, JournalDamaged, MissingRole, UnknownName
from outthink.core.selection import Result
from outthink.gateway.config import Records
from outthink.gateway.redaction import Redaction
from outthink.report.run_view import listed, sample_text, view
from outthink.report.run_view.view import MOST_STEPS
from outthink.testing.simulated import Faults
from outthink.testing.trials import SCORES, WORLD, commits
from outthink.testing.worlds import ToyVerifier
from tests.report.recorded import MANY, Virtual, bushy, recorded


def shown(journal: Path, **asked: Any) -> dict[str, Any]:
    """The view, which is plain JSON without NaN."""
    return json.loads(json.dumps(view(journal, **asked), allow_nan=False))  # type: ignore[no-any-return]


def agrees(found: dict[str, Any], result: Result) -> None:
    """Everything that a result says is in the view."""
    chosen = result.selection
    assert found["notes"] == []
    assert (found["state"], found["answer"], found["reason"]) == (result.stop, result.answer, result.reason)
    assert found["usage"] == pytest.approx(result.usage.fields())
    assert {each["id"]: each["text"] for each in found["samples"] if each["state"] == "ok"} == {
        str(sample.key).rpartition("/")[2]: sample.text for sample in result.samples
    }
    assert {each["id"] for each in found["samples"] if each["state"] == "failed"} == {
        str(failure.key).rpartition("/")[2] for failure in result.failed
    }
    assert found["confidence"] == result.confidence
    assert {each["text"]: each["weight"] for each in found["classes"] if each["weight"] is not None} == (
        dict(chosen.votes) if chosen else {}
    )
    assert [each["text"] for each in found["classes"] if each["chosen"]] == (
        [chosen.answer_class] if chosen and chosen.answer_class is not None else []
    )
    if chosen is not None and chosen.sample is not None:
        assert found["chosen"] == str(chosen.sample.key).rpartition("/")[2]
    if result.offers:
        last = result.offers[-1]
        assert (found["offers"][-1]["answer"], found["offers"][-1]["tokens"]) == (last.selection.answer, last.usage.most_tokens)


def cases() -> list[Any]:
    found = []
    for name in catalogue.strategies():
        needs = catalogue.strategy(name).needs
        found.append(pytest.param(name, None, id=name))
        if Needs.SCORES in needs and Needs.STEPS not in needs:
            found.append(pytest.param(name, "judge", id=f"{name}-judge"))
    return found


@pytest.mark.parametrize(("name", "verifier"), cases())
def test_every_strategy_can_be_told_from_its_journal(name: str, verifier: str | None, tmp_path: Path) -> None:
    strategy = catalogue.strategy(name)
    budget = "12 samples" if "n" in strategy.parameters else "60 samples"
    try:
        result = recorded(tmp_path / "run.db", name, verifier=verifier, budget=budget)
    except MissingRole as error:
        pytest.skip(f"a toy world has no model for it: {error}")
    agrees(shown(tmp_path / "run.db"), result)


def test_answers_and_scores_stand_beside_their_samples(tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "weighted_majority", parameters={"n": 12})
    found = shown(tmp_path / "run.db")
    for sample in found["samples"]:
        said = next((word for word in SCORES if f"The answer is {word}." in sample["text"]), None)
        assert sample["answer"] == said
        assert sample["score"] == SCORES.get(said or "")
        assert (sample["scored"], sample["extracted"]) == (1, True)
        assert sample["class"] is None or found["classes"][sample["class"]]["text"] == said
    assert Counter(each["class"] for each in found["samples"])[None] == found["invalid"] > 0
    assert found["scores"] == [min(SCORES.values()), max(SCORES.values())]


def test_a_search_is_a_tree_with_scores(tmp_path: Path) -> None:
    world = bushy()
    recorded(tmp_path / "run.db", "beam_search", world=world, parameters={"width": 9, "branching": 3})
    found = shown(tmp_path / "run.db")
    depths = Counter(each["depth"] for each in found["samples"])
    assert set(depths) == {0, 1, 2, 3}
    for sample in found["samples"]:
        if sample["depth"]:
            above = found["samples"][sample["parent"]]
            assert above["depth"] == sample["depth"] - 1
            assert sample["given"] == "\n\n"  # the boundary that ended the step is no part of its text
            assert sample_text(tmp_path / "run.db", None, sample["id"])["prefix"].endswith(above["text"] + "\n\n")
        if "I give up" not in sample["text"]:
            assert sample["score"] == world.node("hard", whole(found, sample)).score  # type: ignore[union-attr]


def whole(found: dict[str, Any], sample: dict[str, Any]) -> str:
    texts = [sample["text"]]
    while sample["parent"] is not None:
        sample = found["samples"][sample["parent"]]
        texts.append(sample["text"])
    return "\n\n".join(reversed(texts))


def test_failed_samples_have_their_reasons_and_costs(tmp_path: Path) -> None:
    faults = Faults(lost=0.4, withheld=0.2, broken=frozenset({2}))
    result = recorded(tmp_path / "run.db", "majority", parameters={"n": 12}, faults=faults)
    found = shown(tmp_path / "run.db")
    agrees(found, result)
    failed = [each for each in found["samples"] if each["state"] == "failed"]
    assert failed
    assert all(each["reason"] and each["usage"] and each["parent"] is None for each in failed)


def test_every_state_that_a_crash_leaves_behind_can_be_shown(tmp_path: Path) -> None:
    journal, crashed = tmp_path / "run.db", tmp_path / "crashed.db"
    with commits(journal) as states:
        result = recorded(journal, "adaptive_consistency", budget="10 samples", faults=Faults(lost=0.3))
    assert len(states) > 5
    seen = []
    for state in states:
        crashed.write_bytes(state)
        if not listed(crashed)["runs"]:
            with pytest.raises(BadInput, match="holds no run yet"):
                view(crashed)
            continue
        found = shown(crashed)
        assert found["notes"] == []
        assert found["chosen"] is None or found["chosen"] in {each["id"] for each in found["samples"]}
        seen.append((found["state"], len(found["samples"]), found["answer"]))
    assert seen[0][:2] == (None, 0)
    assert seen[-1] == (result.stop, len(result.samples) + len(result.failed), result.answer)
    assert any(state is None and answer is not None for state, _, answer in seen)  # the best so far


@pytest.mark.parametrize("name", ["beam_search", "first_finish", "deepconf_online", "self_refine", "best_of_n"])
def test_a_run_under_way_can_be_looked_at(name: str, tmp_path: Path) -> None:
    journal, crashed = tmp_path / "run.db", tmp_path / "crashed.db"
    with commits(journal) as states:
        recorded(journal, name, verifier="judge" if name == "best_of_n" else None, budget="10 samples")
    for state in states[1:]:
        crashed.write_bytes(state)
        if listed(crashed)["runs"]:
            assert shown(crashed)["notes"] == []


def test_a_budget_says_what_is_left_and_why_it_stopped(tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "adaptive_consistency", budget="3 samples, 10k tokens, 60s")
    found = shown(tmp_path / "run.db")
    assert found["state"] == "budget"
    assert found["reason"] == "the problem budget of samples is spent: 3 of 3 used"
    spent = {each["dimension"]: (each["spent"], each["limit"]) for each in found["budget"]}
    assert spent["samples"] == (3, 3)
    assert spent["tokens"] == (found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"], 10_000)
    assert spent["seconds"][0] == found["wall_seconds"]


def test_the_curve_rises_to_what_was_spent(tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "majority", parameters={"n": 12})
    found = shown(tmp_path / "run.db")
    points = found["spend"]["points"]
    assert found["spend"]["timed"]
    assert points[0] == [0, 0, 0, 0]
    assert points == sorted(points)
    assert points[-1][1:3] == [12, found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"]]
    assert points[-1][0] <= found["wall_seconds"]
    assert [each["seconds"] for each in found["offers"]] == sorted(each["seconds"] for each in found["offers"])


def test_a_journal_of_before_there_were_moments(tmp_path: Path) -> None:
    result = recorded(tmp_path / "run.db", "majority", parameters={"n": 4})
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute("DROP TABLE moments")
        db.commit()
    found = shown(tmp_path / "run.db")
    agrees(found, result)
    assert not found["spend"]["timed"]
    assert [point[1] for point in found["spend"]["points"]] == [0, 1, 2, 3, 4]


def test_an_evaluation_has_many_runs(tmp_path: Path) -> None:
    outthink.evaluate(
        WORLD.problems, model=Virtual(WORLD), task=WORLD.task, verifier=ToyVerifier(SCORES), budgets=["2 samples", "8 samples"],
        strategies=["majority", "best_of_n"], replicates=2, journal=tmp_path / "eval.db",
    )  # fmt: skip
    runs = listed(tmp_path / "eval.db")
    assert runs["total"] == len(runs["runs"]) == 4 + 2 * (not catalogue.strategy("best_of_n").curve)
    for run in runs["runs"]:
        found = shown(tmp_path / "eval.db", run=run["name"])
        assert found["notes"] == []
        assert (found["name"], found["answer"], found["state"]) == (run["name"], run["answer"], run["state"])
        assert found["settings"]["strategy"] in ("majority", "best_of_n")
        assert found["problem"]["id"] == "hard"
    assert listed(tmp_path / "eval.db", most=2, offset=1)["runs"] == runs["runs"][1:3]
    with pytest.raises(UnknownName, match="majority@8 samples/hard/0"):
        view(tmp_path / "eval.db", "majority@8 samples/hard")


def changed(journal: Path, name: str, value: object) -> None:
    with closing(sqlite3.connect(journal)) as db:
        db.execute("INSERT OR REPLACE INTO header VALUES (?, ?)", (name, json.dumps(value)))
        db.commit()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("strategy", "nobody's", "not installed"),
        ("strategy", None, "doesn't name the strategy"),
        ("strategy", "best_of_n", "goes another way"),
        ("parameters", {"m": 3}, "can't be replayed"),
        ("budget", "a lot", "can't be replayed"),
        ("problems", ["other", "another one"], "goes another way"),
    ],
)
def test_what_cant_be_replayed_is_shown_as_recorded(name: str, value: object, why: str, tmp_path: Path) -> None:
    result = recorded(tmp_path / "run.db", "majority", parameters={"n": 8})
    changed(tmp_path / "run.db", name, value)
    found = shown(tmp_path / "run.db")
    with pytest.raises(AssertionError):
        agrees(found, result)
    (note,) = found["notes"]
    assert why in note
    assert (found["answer"], found["state"], len(found["samples"])) == (result.answer, "finished", 8)
    assert not any(sample["extracted"] for sample in found["samples"])


@pytest.mark.parametrize("kind", ["redact", "digest"])
def test_a_redacted_record_still_tells_who_voted_for_what(kind: str, tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "weighted_majority", parameters={"n": 12})
    before = shown(tmp_path / "run.db")
    redaction = Redaction(Records(texts=kind, redact=(r"gold|step\d+",)))
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    (tmp_path / "kept.db").write_bytes(redaction.applied((tmp_path / "run.db").read_bytes()))
    found = shown(tmp_path / "kept.db")
    assert found["notes"] == []
    assert [each["class"] for each in found["samples"]] == [each["class"] for each in before["samples"]]
    assert [each["score"] for each in found["samples"]] == [each["score"] for each in before["samples"]]
    assert [each["weight"] for each in found["classes"]] == [each["weight"] for each in before["classes"]]
    assert "gold" not in json.dumps(found)


def test_long_texts_and_many_samples_are_cut_and_counted(tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "majority", world=MANY, parameters={"n": 400})
    found = shown(tmp_path / "run.db", most_text=5, most_samples=50)
    assert found["samples_in_all"] == 400
    assert len(found["samples"]) in (50, 51)
    assert found["chosen"] in {each["id"] for each in found["samples"]}
    assert all(len(each["text"]) == 5 < each["length"] for each in found["samples"])
    assert sum(each["samples"] for each in found["classes"]) + found["invalid"] == 400
    full = sample_text(tmp_path / "run.db", None, found["samples"][3]["id"])
    assert full["text"].startswith(found["samples"][3]["text"])
    assert len(full["text"]) == found["samples"][3]["length"]
    assert len(found["spend"]["points"]) <= 400
    assert found["steps_in_all"] <= MOST_STEPS
    with pytest.raises(UnknownName):
        sample_text(tmp_path / "run.db", None, "9#9")


def test_numbers_that_json_has_no_word_for_are_none(tmp_path: Path) -> None:
    recorded(tmp_path / "run.db", "weighted_majority", parameters={"n": 6})
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute('UPDATE samples SET summary = \'{"mean": NaN, "lowest": -Infinity}\'')
        db.commit()
    assert all(each["summary"] == {"mean": None, "lowest": None} for each in shown(tmp_path / "run.db")["samples"])


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        view(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("not a database at all, but long enough to be taken for one" * 40)
    for read in (view, listed):
        with pytest.raises(JournalDamaged, match=r"text\.db"):
            read(tmp_path / "text.db")
    recorded(tmp_path / "run.db", "majority", parameters={"n": 4})
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        db.execute("UPDATE samples SET path = 'here' WHERE rowid = 2")
        db.commit()
    with pytest.raises(JournalDamaged, match="is broken"):
        view(tmp_path / "run.db")
