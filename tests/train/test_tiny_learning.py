"""Labels, sampling, the schedule, and export: with torch, on a model that is smaller still. Nothing is trained here."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("gguf", reason="training needs the extra `train`")

from torch import Tensor  # noqa: E402

from outthink.tasks.countdown import text_of, value  # noqa: E402
from outthink.tasks.countdown_solver import replay  # noqa: E402
from train.tiny import training, verifier  # noqa: E402
from train.tiny.export import export  # noqa: E402
from train.tiny.labels import UNLABELLED, estimated, walks  # noqa: E402
from train.tiny.model import Model, Shape  # noqa: E402
from train.tiny.rollout import sampled  # noqa: E402
from train.tiny.training import Lesson, rate_at, save  # noqa: E402
from train.tiny.vocabulary import END, NEWLINE  # noqa: E402


@pytest.fixture
def model() -> Model:
    torch.manual_seed(1)
    return Model(Shape(width=32, layers=2, heads=2, hidden=64))


def test_labels_of_walks_are_those_of_the_solver() -> None:
    from outthink.core.problem import Problem

    for example in islice(walks(random.Random(1), monte_carlo=False), 300):
        problem = Problem(text_of(example.numbers, example.target))
        for place, label in enumerate(example.labels):
            assert label == value(problem, "\n".join(example.lines[: place + 1]))


def test_without_a_solver_only_what_is_certain_is_labelled() -> None:
    for example in islice(walks(random.Random(2), monte_carlo=True), 300):
        for place, label in enumerate(example.labels):
            left = replay(example.numbers, example.lines[: place + 1])
            assert (label == UNLABELLED) == (left is not None and len(left) > 1)


def test_a_verifier_learns_verdicts_after_steps_and_text_within_them() -> None:
    for example in islice(walks(random.Random(3), monte_carlo=False), 100):
        ids, labels, following = verifier.row_of(example)
        steps = [place for place, token in enumerate(ids) if token == NEWLINE][1:]
        assert [labels[place] for place in steps] == list(example.labels)
        assert all(following[place] == verifier.IGNORED for place in steps)
        assert any(token != verifier.IGNORED for token in following) == (example.labels[-1] == 1)


def test_sampling_with_a_cache_equals_the_model_without_one(model: Model) -> None:
    prompts = [[1, 5, 9], [1, 260, 270, 280, 290, 300], [1, 7]]
    for prompt, found in zip(prompts, sampled(model, prompts, 12, temperature=0), strict=True):
        ids = list(prompt)
        for _ in range(12):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        expected = ids[len(prompt) :]
        assert found == (expected[: expected.index(END)] if END in expected else expected)


def test_the_rate_rises_stays_and_falls() -> None:
    lesson = Lesson("any", lambda seed: iter(()), lambda: torch.zeros(()), 1.0, rate=1.0, decay=0.5, warm_up=10)
    assert rate_at(lesson, 0, 0.0) == pytest.approx(0.1)
    assert rate_at(lesson, 100, 0.5) == pytest.approx(1.0)
    assert rate_at(lesson, 100, 0.75) == pytest.approx(0.51)
    assert rate_at(lesson, 100, 1.0) == pytest.approx(0.02)


@pytest.mark.parametrize("quantised", [False, True])
def test_an_export_is_cut_and_computed_as_in_torch(model: Model, tmp_path: Path, quantised: bool) -> None:
    pytest.importorskip("xllamacpp")
    from train.tiny.check import PROMPTS, Served, difference

    save(model, tmp_path / "weights.pt", 0)
    export(tmp_path / "weights.pt", tmp_path / "model.gguf", "test", quantised=quantised)
    served = Served(tmp_path / "model.gguf", precise=True)
    try:
        drift = difference(model, served, [*PROMPTS, "Größe 7\x00?"], 16)
    finally:
        served.close()
    assert drift.cuts == 0
    assert drift.tokens
    assert drift.largest < (0.3 if quantised else 1e-3)


def test_monte_carlo_labels_are_shares_of_right_answers_with_the_same_beginning() -> None:
    right = ("25/5=5,5 6 13", "13*5=65,6 65", "65-6=59")
    wrong, other = (*right[:2], "65-6=58"), (right[0], "13+5=18,6 18", "18*6=59")
    found = estimated((5, 6, 13, 25), 59, [right, wrong, other, right])
    assert [example.labels for example in found] == [(0.5, 2 / 3, 1.0), (0.5, 2 / 3, 0.0), (0.5, 0.0, 0.0), (0.5, 2 / 3, 1.0)]


def test_a_killed_training_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: function)
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(training, "Model", lambda: Model(Shape(width=32, layers=1, heads=1, hidden=32)))
    seeds: list[int] = []

    def killed_after(steps: int) -> Callable[[int], Iterator[tuple[Tensor, ...]]]:
        def batches(seed: int) -> Iterator[tuple[Tensor, ...]]:
            seeds.append(seed)
            yield from itertools.repeat((torch.ones(2, 4, dtype=torch.long),), steps)
            raise KeyboardInterrupt

        return batches

    def lesson(steps: int, minutes: float) -> Lesson:
        return Lesson("any", killed_after(steps), lambda model, ids: model(ids).square().mean(), minutes)

    with pytest.raises(KeyboardInterrupt):
        training.trained(lesson(3, 60.0), tmp_path, 0)
    state = torch.load(tmp_path / "any.resume.pt", weights_only=True)
    assert state["step"] == 3
    torch.save(state | {"spent": 3599.9}, tmp_path / "any.resume.pt")
    final = training.trained(lesson(10**6, 60.0), tmp_path, 0)
    assert seeds == [0, 3]  # other data than before the kill
    assert torch.load(final, weights_only=True)["step"] > 3
    assert not (tmp_path / "any.resume.pt").exists()
    assert training.trained(lesson(0, 60.0), tmp_path, 0) == final  # nothing is done again
