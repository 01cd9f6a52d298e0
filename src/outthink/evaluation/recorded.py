"""A task and a verifier that answer from a recording, so that nothing is extracted, compared or graded again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from outthink.core.errors import BadInput, PoolMiss
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.step import Steps
from outthink.core.task import INVALID, Answer
from outthink.evaluation.pool import Pool


class RecordedTask:
    """The task of one model's pool: answers, their classes and grades are the recorded ones, steps those of `task`.

    An answer that is graded differently in different samples counts as right if at least half of them are. `task` gives the
    prompts where the recording kept their digests (without it a problem's prompt is its text), and what the beginnings answer
    that streams reveal.

    own_settings: a problem whose samples all have settings that others' don't is asked with its own, where the recording kept no
              prompts (as of a gateway's records, whose clients each had theirs); False: with those that the user states
    of_steps: samples continue others, as those of a search over steps do
    """

    def __init__(self, pool: Pool, task: Any = None, *, own_settings: bool = True) -> None:
        pool.one_model()
        self._own: dict[str, str] | None = {} if own_settings and not pool.frame["prompt"].count() else None
        self.name = f"recorded {pool.name}"
        self._pool, self._task = pool, task
        self.steps: Steps | None = getattr(task, "steps", None)
        self.value = getattr(task, "value", None)
        longest: Any = pool.frame["completion_tokens"].max()
        # Where no limit was recorded, the default one must not cut what was: nothing recorded is longer than this.
        limit = {"max_tokens": longest} if longest else {}
        self.of_steps = pool.frame["prefix"].count() > 0
        # The boundary of a step is no setting of the user's.
        boundary = (self.steps or Steps()).boundary if self.of_steps else None
        self._common = _common_sampling(pool, boundary)
        self.sampling: Mapping[str, Any] = {**limit, **self._common}
        self._known: dict[str, tuple[dict[str, Answer], dict[str, bool]]] = {}

    def prompt(self, problem: Problem) -> Prompt:
        """The prompt that was recorded; it leaves open what all samples of this problem alone were drawn with."""
        prompt = self._task.prompt(problem) if self._task is not None else Prompt.chat(problem.text)
        return replace(prompt, extra=extra) if (extra := self._left_open(problem.id)) else prompt

    def _left_open(self, problem: str) -> str:
        if self._own is None:
            return ""
        if problem not in self._own:
            settings = [sample.sampling for sample in self._pool.samples(problem)]
            first = settings[0] if settings else {}
            shared = [name for name, value in first.items() if all(each.get(name) == value for each in settings)]
            names = [name for name in shared if name not in self._common]
            self._own[problem] = json.dumps(dict.fromkeys(names)) if names else ""
        return self._own[problem]

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """The recorded answer of each text; `task` says what the beginning of one answers. Raises PoolMiss for any other."""
        recorded, _ = self._of(problem.id)
        begun = list(dict.fromkeys(text for text in texts if text not in recorded))
        for text in begun:
            if self._task is None or not any(whole.startswith(text) for whole in recorded):
                raise PoolMiss(f"{self.name} holds no answer for a text of problem {problem.id!r} that begins {text[:40]!r}")
        said = dict(zip(begun, await self._task.answers(problem, begun, known), strict=True)) if begun else {}
        return [recorded[text] if text in recorded else said[text] for text in texts]

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """The recorded grade of each answer or answer class; `task` grades others. Raises PoolMiss where there is no task."""
        _, graded = self._of(problem.id)
        others = [answer for answer in answers if answer is not None and answer not in graded]
        if others and (self._task is None or problem.gold is None):
            raise PoolMiss(f"{self.name} holds no grade for the answer {others[0][:40]!r} of problem {problem.id!r}")
        found = dict(zip(others, await self._task.grade(problem, others), strict=True)) if others else {}
        return [answer is not None and {**graded, **found}[answer] for answer in answers]

    def _of(self, problem: str) -> tuple[dict[str, Answer], dict[str, bool]]:
        if problem not in self._known:
            rows = self._pool.rows(problem)
            answers: dict[str, Answer] = {}
            samples = self._pool.samples(problem)
            for sample, (answer, its_class) in zip(samples, rows.select("answer", "answer_class").iter_rows(), strict=True):
                its = INVALID if its_class is None else Answer(answer, its_class)
                answers.setdefault(sample.prefix + sample.text, its)
                # A step holds the boundary that ended it.
                for end in sample.sampling.get("stop", ()) if sample.finish is Finish.STOP else ():
                    answers.setdefault(sample.prefix + sample.text + end, its)
            for prefix in {"", *(sample.prefix for sample in samples)}:  # what is left of a sample that a budget cut
                answers.setdefault(prefix, INVALID)
            graded: dict[str, bool] = {}
            for name in ("answer_class", "answer"):  # an answer's own grade wins over its class's
                share = rows.drop_nulls([name, "correct"]).group_by(name).agg(pl.col("correct").mean())
                graded.update((text, right >= 0.5) for text, right in share.iter_rows())
            self._known[problem] = answers, graded
        return self._known[problem]


class RecordedScores:
    """The verifier whose scores were recorded with the samples.

    pool: where given, BadInput is raised if it holds no score at all
    """

    name = "recorded"
    oracle = False
    logprobs: LogprobNeed | None = None
    roles: frozenset[str] = frozenset()

    def __init__(self, pool: Pool | None = None) -> None:
        if pool is not None and not pool.frame["score"].count():
            raise BadInput("holds no scores; name a verifier (--verifier), such as self_certainty", where=f"pool {pool.name}")

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """The recorded score of each sample, None where there is none."""
        found = (sample.meta.get("score") for sample in samples)
        return [float(score) if isinstance(score, (int, float)) else None for score in found]


def _common_sampling(pool: Pool, boundary: str | None) -> dict[str, Any]:
    """The settings that all samples share, but for the stop string that ends a step."""
    settings: list[Mapping[str, Any]] = []
    for _, rows in pool.frame.group_by("sampling", "temperature"):
        problem = rows["problem_id"][0]
        index = rows["sample_index"][0]
        own = dict(next(sample.sampling for sample in pool.samples(problem) if sample.index == index))
        if boundary is not None and "stop" in own:
            own["stop"] = [stop for stop in own["stop"] if stop != boundary]
        settings.append(own)
    first = settings[0] if settings else {}
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in settings)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in shared.items()}
