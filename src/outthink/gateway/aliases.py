"""Other systems' spellings of a strategy, so that their users change only the URL: optillm, ThinkBooster, its_hub.

    optillm       "optillm_approach": "bon" in the body, or before the model's name: `bon-gpt-4o`
    ThinkBooster  /v1/offline_bon/perplexity/chat/completions, or "tts_strategy", "tts_scorer", "num_paths" ... in the body
    its_hub       "budget": 8 in the body, or the header X-ITS-Budget

What has no counterpart here is refused by name. optillm's tag inside of a prompt is not read: prompts never choose a strategy.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from outthink.core.errors import BadInput, UnknownName
from outthink.gateway import known
from outthink.gateway.body import Fields
from outthink.gateway.choice import Choice, samples_of
from outthink.gateway.refusal import said_by

_OPTILLM: dict[str, tuple[str, int | None, str]] = {
    "none": ("single", None, ""),
    "bon": ("best_of_n", 3, "judge"),
    "self_consistency": ("majority", 5, ""),
    "majority_voting": ("majority", 8, ""),
    "deepconf": ("deepconf_online", None, ""),
    "genselect": ("universal_self_consistency", 8, ""),
    "moa": ("mixture_of_agents", 3, ""),
    "mcts": ("mcts", None, ""),
    "re2": ("re2", None, ""),
}
"""By approach: strategy, samples and verifier with optillm's own defaults."""
_APPROACHES = frozenset(_OPTILLM) | {"rto", "z3", "pvg", "rstar", "plansearch", "cot_reflection", "leap", "cepo", "mars", "auto"}
_THINKBOOSTER: dict[str, tuple[str, str]] = {
    "baseline": ("single", ""),
    "self_consistency": ("majority", "num_paths"),
    "offline_bon": ("best_of_n", "tts_num_trajectories"),
    "offline_best_of_n": ("best_of_n", "tts_num_trajectories"),
    "beam_search": ("beam_search", "tts_beam_size"),
}
_NUMBERS = ("num_paths", "tts_num_trajectories", "tts_beam_size", "tts_candidates_per_step", "tts_budget")
_DEFAULTS = {"num_paths": 5, "tts_num_trajectories": 8, "tts_beam_size": 4}
_SCORERS = {"perplexity": "mean_logprob", "sequence_prob": "mean_logprob", "entropy": "self_certainty"}


def of_optillm(approach: str, fields: Fields | None = None) -> Choice:
    """The choice that an approach of optillm stands for. Raises BadInput for one without a counterpart."""
    where = "optillm_approach"
    if re.search(r"[&|]", approach):
        raise BadInput(f"{approach!r} joins several approaches; choose one strategy, such as majority:8", where=where)
    name, n, verifier = _OPTILLM.get(approach, ("", None, ""))
    if not name or name not in known.strategies():
        here = sorted(each for each, (target, _, _) in _OPTILLM.items() if target in known.strategies())
        raise BadInput(f"{approach!r} has no counterpart here; those that have: {', '.join(here)}", where=where)
    if fields is not None and approach == "majority_voting":
        n = fields.whole("k", 1, 4096) or n
    return Choice(known.strategy(name), n=n, verifier=verifier)


def of_model_prefix(model: str, models: Collection[str]) -> tuple[Choice, str] | None:
    """The choice and the model of a name such as `bon-gpt-4o`; None where it has no such prefix before a known model."""
    prefix, dash, rest = model.partition("-")
    if not dash or not (prefix in _APPROACHES or re.fullmatch(r"[a-z_0-9]+([&|][a-z_0-9]+)+", prefix)):
        return None
    if rest not in models and of_model_prefix(rest, models) is None:
        return None
    if rest not in models:
        raise BadInput(f"{model!r} joins several approaches; choose one, such as {prefix}-MODEL", where="model")
    return of_optillm(prefix), rest


def of_thinkbooster(strategy: str, scorer: str, fields: Fields | None = None) -> Choice:
    """The choice that a strategy and a scorer of ThinkBooster stand for. Raises BadInput, UnknownName."""
    name, parameter = _THINKBOOSTER.get(strategy, (strategy, ""))
    if name not in known.strategies():
        raise UnknownName("strategy", strategy, [*known.strategies(), *_THINKBOOSTER])
    given = {each: fields.whole(each, 1, 4096) for each in _NUMBERS} if fields is not None else {}
    n = given.get(parameter) or given.get("tts_budget") or given.get("num_paths") or _DEFAULTS.get(parameter)
    found = known.strategy(name)
    if "scores" not in found.needs:
        return Choice(found, n=n)
    return Choice(found, n=n, verifier=scorer_of(scorer or "entropy"))


def scorer_of(name: str) -> str:
    """The verifier that a scorer stands for; "prm" and "" are the model's own. Raises UnknownName."""
    if name in ("prm", ""):
        return ""
    found = _SCORERS.get(name, name.replace("-", "_"))
    if found not in known.verifiers():
        raise UnknownName("verifier", name, [*known.verifiers(), *_SCORERS])
    return found


def of_body(fields: Fields) -> tuple[str, Choice | None]:
    """The field that asks in another system's spelling, and what it asks for. Raises Refusal, also where two of them disagree."""
    found: list[tuple[str, Choice]] = []
    if (approach := fields.text("optillm_approach", 200)) not in (None, "", "auto"):
        assert approach is not None
        with said_by("optillm_approach"):
            found.append(("optillm_approach", of_optillm(approach, fields)))
    strategy, scorer = fields.text("tts_strategy", 200), fields.text("tts_scorer", 200)
    with said_by("tts_scorer"):
        scorer_of(scorer or "")
    if strategy is not None:
        with said_by("tts_strategy"):
            found.append(("tts_strategy", of_thinkbooster(strategy, scorer or "", fields)))
    if len({choice.strategy.name for _, choice in found if choice.strategy is not None}) > 1:
        raise fields.refuse(found[1][0], f"left out: it and {found[0][0]} name different strategies")
    for name in (*_NUMBERS, "tts_max_steps", "tts_score_aggregation", "tts_window_size", "tts_verbose", "provider"):
        fields.take(name)
    return found[0] if found else ("", None)


def of_its_hub(value: object, where: str) -> int:
    """its_hub's budget: a number of samples. Raises BadInput."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value.strip()[:9])
    return samples_of(value, where)


def with_n(choice: Choice, n: int) -> Choice:
    """The choice with so many samples; without a strategy it is a majority vote, as its_hub has it."""
    strategy = choice.strategy
    return replace(choice, n=n, strategy=strategy if strategy is not None else known.strategy("majority"))
