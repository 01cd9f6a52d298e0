"""Where a strategy may be named, which place wins, and that nothing else names one."""

from __future__ import annotations

from typing import Any

import pytest

from outthink.core.budget import Budget
from outthink.core.errors import BadInput, OutthinkError, UnknownName
from outthink.gateway.body import Fields
from outthink.gateway.choice import read_choice
from outthink.gateway.choosing import Chosen, Place, choose
from outthink.gateway.gateway import Gateway
from outthink.gateway.model import Model
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Caller
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.worlds import Odds, World

BACKEND = SimulatedBackend(World({"x": Odds("4", {"4": 1.0})}))


def chosen(
    body: dict[str, Any] | None = None,
    *,
    model: str = "qwen",
    path: tuple[str, str] = ("", ""),
    headers: dict[str, str] | None = None,
    caller: Caller | None = None,
    **settings: Any,
) -> Chosen:
    endpoint = Endpoint(BACKEND, Ledger())
    gateway = Gateway(
        [Model("qwen", {"generator": endpoint, "judge": endpoint}, **settings), Model("moa-lite", {"generator": endpoint})]
    )
    fields = Fields({"model": model, **(body or {})})
    return choose(gateway, caller or Caller(), Place(*path, headers or {}), fields)


def named(found: Chosen) -> tuple[str, int | None]:
    assert found.choice.strategy is not None
    return found.choice.strategy.name, found.samples


def test_a_choice_in_one_line() -> None:
    choice = read_choice("best-of-n:8,quorum=4,20k_tokens,$0.5")
    assert choice.strategy is not None
    assert (choice.strategy.name, choice.n, choice.parameters) == ("best_of_n", 8, {"quorum": 4})
    assert choice.budget == Budget(tokens=20_000, usd=0.5)
    for wrong in (
        "majority:4,4",
        "majority:0",
        "majority:n=x",
        "os:system",
        "",
        "majority:5 apples",
        "x" * 500,
        "majority:nope=1",
    ):
        with pytest.raises((BadInput, UnknownName)):
            read_choice(wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("single", None)),
        ({"model": "qwen@majority:4"}, ("majority", 4)),
        ({"model": "qwen@majority"}, ("majority", 16)),
        ({"body": {"outthink": {"strategy": "majority:4"}}}, ("majority", 4)),
        ({"body": {"outthink": {"strategy": "majority", "n": 3}}}, ("majority", 3)),
        ({"body": {"outthink": {"strategy": "majority", "budget": "3 samples"}}}, ("majority", 3)),
        ({"headers": {"x-outthink-strategy": "majority:5"}}, ("majority", 5)),
        ({"path": ("majority:6", "")}, ("majority", 6)),
        ({"strategy": "majority:7"}, ("majority", 7)),
        ({"caller": Caller(strategy="majority:8"), "strategy": "majority:7"}, ("majority", 8)),
        # what is more specific wins, and what says less changes only that
        ({"model": "qwen@majority:4", "body": {"outthink": {"strategy": "single"}}}, ("single", None)),
        ({"path": ("majority:6", ""), "body": {"outthink": {"n": 2}}}, ("majority", 2)),
        ({"path": ("majority:6", ""), "headers": {"x-outthink-budget": "9"}}, ("majority", 9)),
        # other systems' spellings
        ({"body": {"optillm_approach": "self_consistency"}}, ("majority", 5)),
        ({"body": {"optillm_approach": "majority_voting", "k": 6}}, ("majority", 6)),
        ({"model": "bon-qwen"}, ("best_of_n", 3)),
        ({"model": "none-qwen"}, ("single", None)),
        ({"model": "moa-lite"}, ("single", None)),  # a model's own name is no prefix
        ({"body": {"budget": 8}}, ("majority", 8)),
        ({"headers": {"x-its-budget": "12"}}, ("majority", 12)),
        ({"path": ("self_consistency", "")}, ("majority", 5)),
        ({"path": ("offline_bon", "perplexity")}, ("best_of_n", 8)),
        ({"body": {"tts_strategy": "offline_bon", "tts_scorer": "perplexity", "tts_num_trajectories": 2}}, ("best_of_n", 2)),
    ],
)
def test_every_place_that_names_a_strategy(given: dict[str, Any], expected: tuple[str, int | None]) -> None:
    assert named(chosen(given.pop("body", None), **given)) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "nope"}, "known: moa-lite, qwen"),
        ({"model": "qwen@majorty"}, "did you mean majority"),
        ({"model": "qwen@single:4"}, "use for example majority:4"),
        ({"body": {"outthink": {"strategie": "x"}}}, "did you mean strategy"),
        ({"body": {"outthink": {"strategy": "majority", "parameters": {"m": 1}}}}, "parameter of majority"),
        ({"body": {"outthink": {"task": "os:system"}}}, "no task"),
        ({"body": {"outthink": {"verifier": "os:system"}}}, "no verifier"),
        ({"body": {"outthink": {"progress": "loud"}}}, "comments, reasoning, none"),
        ({"body": {"outthink": {"budget": "5 bananas"}}}, "not understood"),
        ({"body": {"outthink": []}}, "must be an object"),
        ({"body": {"optillm_approach": "z3"}}, "no counterpart"),
        ({"body": {"optillm_approach": "bon&moa"}}, "joins several"),
        ({"body": {"optillm_approach": "bon", "tts_strategy": "self_consistency"}}, "different strategies"),
        ({"body": {"budget": 0}}, "whole number"),
        ({"model": "bon-mcts-qwen"}, "joins several"),
        ({"path": ("magic", "")}, "no strategy"),
        ({"path": ("offline_bon", "magic")}, "no verifier"),
        ({"caller": Caller(models=frozenset({"moa-lite"}))}, "for this key"),
        ({"caller": Caller(strategies=frozenset({"majority"}))}, "may not use single"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_a_sentence_that_helps(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OutthinkError, match=words):
        chosen(given.pop("body", None), **given)


def test_a_request_without_a_model_is_refused() -> None:
    with pytest.raises(Refusal, match="model is missing"):
        choose(Gateway(), Caller(), Place(), Fields({}))


def test_a_request_keeps_within_the_model_s_and_the_key_s_budget() -> None:
    asked = {"outthink": {"strategy": "majority:4", "budget": "9k tokens"}}
    found = chosen(asked, budget=Budget(tokens=5000, seconds=60))
    assert (found.budget, found.parameters) == (Budget(tokens=5000, seconds=60), {"n": 4})
    assert chosen(asked, caller=Caller(budget=Budget(tokens=100))).budget == Budget(tokens=100)
    # a budget that the client named is filled; one that only limits it is not
    assert chosen({"outthink": {"strategy": "majority", "budget": "9k tokens"}}).parameters == {}
    assert chosen({"outthink": {"strategy": "majority"}}, budget=Budget(tokens=5000)).parameters == {"n": 16}


def test_all_that_names_strategies_is_taken_out_of_the_body() -> None:
    fields = Fields({
        "model": "qwen", "outthink": {"strategy": "majority:2"}, "optillm_approach": "none", "num_paths": 3, "temperature": 1,
    })  # fmt: skip
    choose(Gateway([Model("qwen", {"generator": Endpoint(BACKEND, Ledger())})]), Caller(), Place(), fields)
    assert fields.left == {"temperature": 1}
