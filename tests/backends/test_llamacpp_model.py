"""The embedded model itself: what the backend says of the engine is true of the engine."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.weights import EMBEDDED, model_file
from outthink.core.backend import Completion, Delta, Request
from outthink.core.errors import BadInput, Lost, Permanent
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Message, Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

pytestmark = pytest.mark.model

COUNTING = Prompt.raw("1 2 3 4\n5 6 7 8\n9 10 11 12\n13 14")


@pytest.fixture
async def backend() -> AsyncIterator[LlamaCppBackend]:
    opened = LlamaCppBackend(slots=2, context=256)
    await opened.open()
    yield opened
    await opened.close()


def asking(
    prompt: Prompt,
    seed: int = 1,
    *,
    logprobs: LogprobNeed | None = None,
    watch: Callable[[Delta], bool] | None = None,
    temperature: float = 0.0,
    max_tokens: int = 12,
    stop: tuple[str, ...] = (),
) -> Request:
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, stop=stop)
    return Request(prompt, sampling, [seed], logprobs=logprobs, watch=watch)


def busy(backend: LlamaCppBackend) -> int:
    assert backend._engine is not None
    return sum(slot["is_processing"] for slot in backend._engine.page("/slots"))


async def until_idle(backend: LlamaCppBackend) -> None:
    """Returns once no slot works; the test's own time limit ends one that never does."""
    while await asyncio.to_thread(busy, backend):  # noqa: ASYNC110  # the engine has no event to wait for
        await asyncio.sleep(0.01)


async def test_text_finish_and_exact_usage(backend: LlamaCppBackend) -> None:
    stopped = await backend.complete(asking(COUNTING, stop=("\n",)))
    assert (stopped.pieces[0].text, stopped.pieces[0].finish) == (" 15 16", Finish.STOP)
    assert stopped.prompt_tokens == backend.prompt_bound(COUNTING)
    cut = await backend.complete(asking(COUNTING, max_tokens=3))
    assert (cut.pieces[0].tokens, cut.pieces[0].finish) == (3, Finish.LENGTH)
    ended = await backend.complete(asking(Prompt.chat("Say hi."), max_tokens=200, stop=("zzz",)))
    assert ended.pieces[0].finish is Finish.EOS
    assert "<|" not in ended.pieces[0].text
    again = await backend.complete(asking(Prompt.chat("Say hi."), max_tokens=1))
    assert again.cached_tokens == (again.prompt_tokens or 0) - 1


async def test_a_prefix_is_continued_in_chat_and_in_text(backend: LlamaCppBackend) -> None:
    for prompt in (COUNTING, Prompt.chat("Count from 1 to 9.")):
        whole = (await backend.complete(asking(prompt, max_tokens=10))).pieces[0].text
        head = whole[: len(whole) // 2].rpartition(" ")[0]
        rest = (await backend.complete(asking(prompt.continued(head), max_tokens=5))).pieces[0].text
        assert whole.startswith(head + rest[:4])
    turns = Prompt(messages=(Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye")))
    assert backend.capabilities.chat
    assert backend.rendered(turns).endswith("<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n")


async def test_logprobs_are_the_models_own_whatever_the_temperature(backend: LlamaCppBackend) -> None:
    every = LogprobNeed(100)
    one = (await backend.complete(asking(COUNTING, logprobs=every, max_tokens=4))).pieces[0].logprobs
    assert one is not None
    assert len(one) == 4
    assert list(one.chosen) == [one.row(token)[0] for token in range(4)]  # greedy: the most probable
    assert 0.9 < math.fsum(map(math.exp, one.row(0))) <= 1.0001
    hot = (await backend.complete(asking(COUNTING, logprobs=every, max_tokens=1, temperature=5.0))).pieces[0].logprobs
    assert hot is not None
    assert list(hot.row(0)[:5]) == pytest.approx(list(one.row(0)[:5]), abs=0.3)


async def test_temperature_one_keeps_the_tail_that_servers_cut_off_by_default(backend: LlamaCppBackend) -> None:
    """Under llama.cpp's defaults (top_k 40, min_p 0.05) no token of less than a twentieth of the best could be drawn."""
    need, prompt = LogprobNeed(1), Prompt.raw("The")
    drawn = await asyncio.gather(
        *(backend.complete(asking(prompt, seed, logprobs=need, max_tokens=8, temperature=1.0)) for seed in range(1, 9))
    )
    found = [one.pieces[0].logprobs for one in drawn]
    assert any(chosen < best + math.log(0.05) for one in found if one for chosen, best in zip(one.chosen, one.top, strict=True))
    assert len({one.pieces[0].text for one in drawn}) == len(drawn)


async def test_cancelling_frees_the_slot_for_the_next(backend: LlamaCppBackend) -> None:
    started = asyncio.Event()

    def watch(_: Delta) -> bool:
        started.set()
        return False

    tasks = [asyncio.create_task(backend.complete(asking(COUNTING, seed, watch=watch, max_tokens=200))) for seed in (1, 2)]
    await started.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    await until_idle(backend)
    assert (await backend.complete(asking(COUNTING, stop=("\n",)))).pieces[0].text == " 15 16"


async def test_a_watcher_stops_a_sample_early_and_keeps_it(backend: LlamaCppBackend) -> None:
    pieces: list[str] = []

    def watch(delta: Delta) -> bool:
        pieces.append(delta.text)
        return len(pieces) == 3

    found = await backend.complete(asking(COUNTING, watch=watch, max_tokens=400))
    assert found.pieces[0].finish is Finish.CANCELLED
    assert found.pieces[0].text.startswith("".join(pieces))
    assert 3 <= (found.completion_tokens or 0) < 400
    await until_idle(backend)


async def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(backend: LlamaCppBackend) -> None:
    with pytest.raises(Permanent, match=r"has 301 tokens and the model's context holds 256"):
        await backend.complete(asking(Prompt.raw("x " * 300)))
    full = await backend.complete(asking(Prompt.raw("x " * 250), max_tokens=100))
    assert full.pieces[0].finish is Finish.LENGTH


async def test_seeds_repeat_where_the_backend_says_so() -> None:
    backend = LlamaCppBackend(repeatable=True, context=256)
    await backend.open()
    assert backend.capabilities.seed

    async def round_of(seeds: list[int]) -> dict[int, Completion]:
        found = await asyncio.gather(*(backend.complete(asking(COUNTING, seed, temperature=1.0, max_tokens=6)) for seed in seeds))
        return dict(zip(seeds, found, strict=True))

    first, second = await round_of([1, 2, 3]), await round_of([3, 1, 2])
    assert first == second
    assert len({one.pieces[0].text for one in first.values()}) > 1
    await backend.close()


async def test_no_noise_no_threads_and_no_signal_handler_left(capfd: pytest.CaptureFixture[str]) -> None:
    threads, handlers = set(threading.enumerate()), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    backend = LlamaCppBackend(slots=3, context=128)
    await backend.open()
    found = await asyncio.gather(*(backend.complete(asking(COUNTING, seed)) for seed in range(9)))
    assert len(found) == 9
    assert sum(thread.name.startswith("llamacpp") for thread in threading.enumerate()) == 3
    await backend.close()
    await backend.close()
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert not [name for name in left if not name.startswith("asyncio_")]  # those are the loop's own
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capfd.readouterr() == ("", "")


async def test_a_damaged_file_is_named_without_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = await asyncio.to_thread(model_file, "embedded")
    assert whole.name == EMBEDDED.name
    path = tmp_path / "damaged.gguf"
    with whole.open("rb") as source:
        path.write_bytes(source.read(5_000_000))
    backend = LlamaCppBackend(path)
    with pytest.raises(BadInput, match="can't load this model") as caught:
        await backend.open()
    await backend.close()
    assert caught.value.where == str(path)
    assert capfd.readouterr() == ("", "")


async def test_a_real_time_limit(backend: LlamaCppBackend) -> None:
    request = asking(COUNTING, max_tokens=400)
    with pytest.raises(Lost, match=r"within 0\.05 s"):
        await backend.complete(Request(request.prompt, request.sampling, request.seeds, timeout=0.05))
    await until_idle(backend)
