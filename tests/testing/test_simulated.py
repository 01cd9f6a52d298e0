"""The simulated model: what it says has the probabilities of its world, and what it did is counted truthfully."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.backend import Delta, Identity, Request
from outthink.core.errors import BadInput, Lost, Permanent, Refused
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.parts import prompts
from outthink.runtime.clock import run_virtually
from outthink.testing import exact
from outthink.testing.simulated import Faults, Pace, SimulatedBackend
from outthink.testing.worlds import Odds, World, stated, tokens

WORLD = World({"p": Odds("gold", {"gold": 0.5, "lead": 0.3})}, sensitivity=0.9, specificity=0.6)
PROMPT = WORLD.task.prompt(WORLD.problems[0])


def request(prompt: Prompt = PROMPT, *seeds: int, **sampling: object) -> Request:
    return Request(prompt, Sampling().but(**sampling), seeds or (1,), identity=Identity("p", 0, 0, "run"))


def test_answers_come_as_often_as_the_world_says() -> None:
    backend = SimulatedBackend(WORLD, n=2000)
    pieces = run_virtually(backend.complete(request(PROMPT, *range(2000)))).pieces
    counts = Counter(stated(piece.text) for piece in pieces)
    for answer, probability in {"gold": 0.5, "lead": 0.3, None: 0.2}.items():
        assert abs(counts[answer] - 2000 * probability) < 4 * math.sqrt(2000 * probability * (1 - probability))


def test_the_same_request_gives_the_same_text_and_greedy_has_no_seed() -> None:
    async def texts(**sampling: object) -> list[str]:
        one, other = SimulatedBackend(WORLD), SimulatedBackend(WORLD, pace=Pace(spread=0.5, seed=9))
        each = [await one.complete(request(PROMPT, 1, **sampling)), await other.complete(request(PROMPT, 1, **sampling))]
        each.append(await other.complete(request(PROMPT, 2, **sampling)))
        return [completion.pieces[0].text for completion in each]

    same, again, other = run_virtually(texts())
    assert same == again != other
    assert len(set(run_virtually(texts(temperature=0.0)))) == 1


def test_limits_stops_and_prefixes() -> None:
    async def piece(**how: object) -> tuple[str, Finish, int | None]:
        prompt = PROMPT.continued(str(how.pop("prefix", "")))
        found = (await SimulatedBackend(WORLD).complete(request(prompt, 1, **how))).pieces[0]
        return found.text, found.finish, found.tokens

    whole, finish, count = run_virtually(piece())
    assert (finish, count) == (Finish.EOS, len(tokens(whole)))
    assert run_virtually(piece(max_tokens=2)) == ("".join(tokens(whole)[:2]), Finish.LENGTH, 2)
    second = tokens(whole)[1]
    assert run_virtually(piece(stop=(second,)))[:2] == (tokens(whole)[0], Finish.STOP)
    begun = "".join(tokens(whole)[:3])
    assert run_virtually(piece(prefix=begun))[0] == whole[len(begun) :]


def test_a_stream_comes_in_pieces_and_can_be_left() -> None:
    async def streamed(most: int) -> tuple[list[Delta], SimulatedBackend, str, Finish]:
        backend, seen = SimulatedBackend(WORLD), []
        asked = Request(
            PROMPT, Sampling(), (1,), LogprobNeed(3), watch=lambda delta: seen.append(delta) is not None or len(seen) >= most
        )
        piece = (await backend.complete(asked)).pieces[0]
        assert piece.logprobs is not None
        assert len(piece.logprobs) == piece.tokens
        return seen, backend, piece.text, piece.finish

    seen, backend, text, finish = run_virtually(streamed(2))
    assert ("".join(delta.text for delta in seen), finish, backend.served_completion_tokens) == (text, Finish.CANCELLED, 2)
    seen, backend, text, finish = run_virtually(streamed(1000))
    assert ("".join(delta.text for delta in seen), finish) == (text, Finish.EOS)
    assert backend.served_completion_tokens == len(tokens(text))


def test_time_slots_and_leaving() -> None:
    async def main() -> None:
        backend = SimulatedBackend(WORLD, pace=Pace(first=1.0, per_token=0.0), slots=2)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[backend.complete(request(PROMPT, seed)) for seed in range(6)])
        assert loop.time() == pytest.approx(3.0)
        assert (backend.peak, backend.in_flight) == (6, 0)
        task = asyncio.create_task(backend.complete(request()))
        await asyncio.sleep(0.5)
        assert backend.in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (backend.in_flight, backend.cancelled) == (0, 1)

    run_virtually(main())


def test_faults() -> None:
    async def main() -> None:
        for faults, error in (
            (Faults(refused=1.0), Refused),
            (Faults(lost=1.0), Lost),
            (Faults(permanent=1.0), Permanent),
            (Faults(broken=frozenset({0})), Permanent),
        ):
            with pytest.raises(error):
                await SimulatedBackend(WORLD, faults=faults).complete(request())
        withheld = await SimulatedBackend(WORLD, faults=Faults(withheld=1.0)).complete(request())
        assert withheld.pieces[0].failed
        # Another attempt at the same sample draws anew.
        backend, failed = SimulatedBackend(WORLD, faults=Faults(refused=0.5)), 0
        for _ in range(40):
            try:
                await backend.complete(request())
            except Refused:
                failed += 1
        assert 8 < failed < 32

    run_virtually(main())


def test_unknown_problems_and_odd_odds_are_refused() -> None:
    with pytest.raises(BadInput, match="no problem of this world"):
        run_virtually(SimulatedBackend(WORLD).complete(request(Prompt.chat("Toy problem q: which word?"))))
    for gold, answers in (("a", {"a": 1.1}), ("a", {"a": -0.1}), ("a", {"two words": 0.1})):
        with pytest.raises(BadInput):
            Odds(gold, answers)


def test_judging_errs_as_often_as_the_world_says() -> None:
    async def approvals(answer: str) -> int:
        backend, found = SimulatedBackend(WORLD), 0
        for at in range(1000):
            asked = prompts.judge(WORLD.problems[0], f"Attempt {at}. The answer is {answer}.")
            found += prompts.verdict((await backend.complete(request(asked, 1, temperature=0.0))).pieces[0].text) is True
        return found

    assert abs(run_virtually(approvals("gold")) - 900) < 40
    assert abs(run_virtually(approvals("lead")) - 400) < 65


@given(st.lists(st.floats(0, 1), min_size=1, max_size=3), st.integers(1, 4), st.booleans())
def test_exact_chances_are_those_of_trying_everything(weights: list[float], n: int, scored: bool) -> None:
    total = sum(weights) + 0.5
    answers = {name: weight / total for name, weight in zip("abc", weights, strict=False)}
    scores = {"a": 0.3, "b": 0.9, "c": 0.9}
    draws: dict[str | None, float] = {**answers, None: 0.5 / total}
    expected: dict[str | None, float] = dict.fromkeys(draws, 0.0)
    for drawn in itertools.product(draws, repeat=n):
        sums: dict[str, float] = {}
        for name in drawn:
            if name is not None:
                sums[name] = sums.get(name, 0) + (round(scores[name] * 10) if scored else 1)
        expected[max(sums, key=lambda name: sums[name]) if sums else None] += math.prod(draws[name] for name in drawn)
    rank = {name: round(score * 10) for name, score in scores.items()}
    found = exact.chosen(answers, n, lambda name, count: count * (rank[name] if scored else 1))
    assert found == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(1.0)
