"""The multifurcation reward model: what it learns, what nothing ever moves, and that log-probabilities give it back."""

from __future__ import annotations

import asyncio
import random
from itertools import islice
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`")
pytest.importorskip("gguf", reason="training needs the extra `train`")

from train.tiny import multifurcation  # noqa: E402
from train.tiny.export import export  # noqa: E402
from train.tiny.labels import UNLABELLED, exact, walks  # noqa: E402
from train.tiny.measure_rewards import named, told_by  # noqa: E402
from train.tiny.model import Model, Shape  # noqa: E402
from train.tiny.training import loaded, optimisers_of, save  # noqa: E402
from train.tiny.vocabulary import BEGIN, DEFINED, END, TOKENS, UNKNOWN, decode, encode  # noqa: E402


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save(Model(Shape(width=32, heads=2, hidden=64)), tmp_path / "policy.pt", 0)
    return multifurcation.begun(tmp_path / "policy.pt", tmp_path / "begun.pt")


def test_rows_reward_what_came_after_the_prompt() -> None:
    for example in islice(walks(random.Random(1), monte_carlo=False), 100):
        ids, labels = multifurcation.row_of(example)
        assert len(ids) == len(labels) == multifurcation.ROW + 1
        told = [(token, label) for token, label in zip(ids, labels, strict=True) if label != UNLABELLED]
        assert decode([token for token, _ in told]) == "".join(f"{line}\n" for line in example.lines)
        right = example.labels[-1] == 1 and len(example.lines) == len(example.numbers) - 1
        assert told[-1] == (END, float(right))


def test_tokens_that_came_get_their_reward_and_others_the_penalty() -> None:
    example = exact((4, 25), 29, ["25+4=28"])
    ids, labels = next(multifurcation.batches([example], iter(()), 0.0, 1))
    free = torch.zeros(*ids[:1, :-1].shape, len(TOKENS), requires_grad=True)
    optimiser = torch.optim.Adam([free], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        multifurcation.loss(Table(free), ids[:1], labels[:1]).backward()
        optimiser.step()
    came = [(int(token), float(label)) for token, label in zip(ids[0, 1:], labels[0, 1:], strict=True)]
    for place, (token, label) in enumerate(came):
        row = free[0, place].tolist()
        assert row.pop(UNKNOWN) == 0.0
        if label == UNLABELLED:  # the prompt, and what comes after the end
            assert set(row) == {0.0}
            continue
        assert row.pop(token - 1) == pytest.approx(label - 1, abs=0.01)
        assert row == pytest.approx([multifurcation.PENALTY] * len(row), abs=0.01)
    assert [label for _, label in came if label != UNLABELLED] == [1, 1, 1, 1, 0, 0, 0]


class Table(torch.nn.Module):
    """Rewards that know nothing of the text."""

    def __init__(self, rewards: torch.Tensor) -> None:
        super().__init__()
        self.rewards = rewards

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.rewards


def test_nothing_moves_the_reference(begun: Path) -> None:
    model = loaded(begun)
    assert len(model.blocks) == len(multifurcation.LAYERS)
    ids, labels = next(multifurcation.batches([exact((4, 25), 29, ["25+4=29"])], iter(()), 0.0, 1))
    optimisers = optimisers_of(model)
    for _ in range(20):
        multifurcation.loss(model, ids, labels).backward()
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = 0.01
            optimiser.step()
            optimiser.zero_grad()
    assert not model(ids)[..., UNKNOWN].any()
    assert model(ids).abs().max() > 0.5, "all else moves"


@pytest.mark.parametrize(("quantised", "tolerance"), [(False, 5e-3), (True, 0.1)])
def test_rewards_read_from_logprobs_are_those_of_torch(begun: Path, tmp_path: Path, quantised: bool, tolerance: float) -> None:
    pytest.importorskip("xllamacpp")
    model, file = loaded(begun), tmp_path / "rewards.gguf"
    model.norm.weight.data.fill_(10.0)
    save(model, begun, 0)
    export(begun, file, "test", quantised=quantised, reference=True)
    beginnings = ["make 59 from 5 6 13 25\n", "make 59 from 5 6 13 25\n25/5=5,5 6 13\n13*"]
    for beginning, told in zip(beginnings, asyncio.run(told_by(file, beginnings)), strict=True):
        expected = model(torch.tensor([[BEGIN, *encode(beginning)]]))[0, -1].tolist()
        assert max(expected) - min(expected) > 2
        assert {word: told[word] for word in DEFINED} == pytest.approx(
            {word: named(word, expected) for word in DEFINED}, abs=tolerance
        )
