"""SAFFRON against a plain loop over the same distributions and rewards, token by token, and its call counts."""

from __future__ import annotations

import math
from typing import Any

import pytest

import outthink
from outthink.backends.llamacpp import LlamaCppBackend
from outthink.core.backend import Completion, Request
from outthink.core.errors import BadInput, Unsupported
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Result
from outthink.parts.next_tokens import nucleus, rewards
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trials import TREES


class Counted(LlamaCppBackend):
    """A tiny model that counts what it is asked."""

    calls = 0

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        return await super().complete(request)


def run(**parameters: Any) -> tuple[Result, SimulatedBackend, SimulatedBackend]:
    policy, mrm = SimulatedBackend(TREES), SimulatedBackend(TREES, name="mrm")

    async def main() -> Result:
        async with Session(policy, task=TREES.task, roles={"mrm": mrm}) as session:
            return await session.solve(TREES.problems[0], "saffron", **parameters)

    return run_virtually(main()), policy, mrm


def reference(width: int, top_p: float, least: int = 0) -> list[str]:
    """Texts of the ended beams, best first, by a loop that knows nothing of runs."""
    prompt = TREES.task.prompt(TREES.problems[0])
    beams: list[tuple[float, str, bool]] = [(0.0, "", False)]
    for position in range(64):
        if all(ended for _, _, ended in beams):
            break
        grown = []
        for _, text, ended in beams:
            if ended:
                continue
            here = prompt.continued(text)
            likely = {token: math.exp(log) for token, log in TREES.first_tokens(here, "generator").items()}
            if position < least:
                likely.pop("", None)
            scored = TREES.first_tokens(here, "mrm")
            gathered = 0.0
            for token, mass in sorted(likely.items(), key=lambda pair: -pair[1]):
                if gathered >= top_p * sum(likely.values()):
                    break
                grown.append((scored[token] - scored["<unk>"], text + token, token == ""))
                gathered += mass
        beams = sorted([beam for beam in beams if beam[2]] + grown, key=lambda beam: -beam[0])[:width]
    return [text for _, text, ended in beams if ended]


@pytest.mark.parametrize(("width", "top_p"), [(1, 1.0), (1, 1e-9), (2, 0.8), (4, 0.95), (16, 1.0)])
def test_it_is_the_plain_loop(width: int, top_p: float) -> None:
    found, policy, mrm = run(width=width, top_p=top_p)
    expected = reference(width, top_p)[0]
    assert found.selection is not None
    assert found.selection.sample is not None
    assert found.selection.sample.whole == expected
    assert policy.calls == mrm.calls, "one call of each per text, however many tokens it may go on with"


def test_without_a_nucleus_it_is_greedy() -> None:
    found, *_ = run(width=1, top_p=1e-9)
    prompt, text = TREES.task.prompt(TREES.problems[0]), ""
    while word := max((likely := TREES.first_tokens(prompt.continued(text), "generator")), key=lambda token: likely[token]):
        text += word
    assert found.selection is not None
    assert found.selection.sample is not None
    assert found.selection.sample.whole == text


def test_a_wider_beam_is_rewarded_no_less() -> None:
    confidences = [run(width=width, top_p=1.0)[0].confidence or 0.0 for width in (1, 4, 16)]
    assert confidences == sorted(confidences)
    assert confidences[-1] == pytest.approx(0.9), "the best leaf of the tree"


def sample(**first: float) -> Sample:
    return Sample(Key("t", ()), "", Finish.EOS, meta={"first_token": first})


def test_nucleus_and_rewards() -> None:
    likely = sample(a=math.log(0.5), b=math.log(0.3), c=math.log(0.2))
    assert [nucleus(likely, top_p) for top_p in (0.5, 0.51, 0.8, 1.0)] == [["a"], ["a", "b"], ["a", "b"], ["a", "b", "c"]]
    assert nucleus(likely, 0.5, forbidden=("a",)) == ["b"], "mass is that of the allowed ones"
    assert rewards(sample(a=-1.0, ref=-3.0), "ref") == {"a": 2.0}
    with pytest.raises(BadInput, match=r"no value for the token 'ref'.*tiny-rewards"):
        rewards(sample(a=-1.0), "ref")
    assert nucleus(Sample(Key("t", ()), "", Finish.EOS), 0.9) == []


@pytest.mark.parametrize("other", ["tiny-verifier", "tiny"])
def test_a_model_that_is_no_reward_model_is_refused_after_its_first_reply(other: str) -> None:
    policy, mrm = (Counted(name) for name in ("tiny", other))
    with pytest.raises(BadInput, match=r"role mrm: gives no value for the token '<unk>'.* bind a multifurcation reward model"):
        outthink.solve("make 59 from 5 6 13 25", model=policy, task="countdown", strategy="saffron", roles={"mrm": mrm})
    assert (policy.calls, mrm.calls) == (0, 1)


@pytest.mark.parametrize("parameters", [{"rewarded": 21}, {"top": 21}])
def test_alternatives_that_a_backend_does_not_name_are_refused_before_anything_is_spent(parameters: dict[str, int]) -> None:
    policy, mrm = (SimulatedBackend(TREES, logprobs=20) for _ in range(2))
    with pytest.raises(Unsupported, match="21 alternatives per token"):
        outthink.solve(
            TREES.problems[0], model=policy, task=TREES.task, strategy="saffron", roles={"mrm": mrm}, parameters=parameters
        )
    assert policy.calls == mrm.calls == 0
