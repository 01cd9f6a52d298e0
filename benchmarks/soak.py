"""A soak of the gateway: mixed load with faults, an upstream that comes and goes, reloads and clients that leave.

    python benchmarks/soak.py                 60 seconds
    python benchmarks/soak.py --minutes 30

The gateway is a process of its own, as operators run it; its upstreams are fake servers that know what they really did. At the
end it is checked, and the exit code says whether it holds, that

- nothing is lost: every request got an answer or an error of the gateway's own, and nothing is under way any more
- accounts are true: what the gateway charged the key (tokens) is never less than what the upstreams generated, and where they
  reported truthfully (the model `calm`: no fault on the way, nobody leaves) clients were told exactly that
- memory is flat: what the gateway holds in the last third exceeds that in the second by less than `GROWTH_MEGABYTES`, and it
  has no more files and connections open, but for `GROWTH_DESCRIPTORS`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from outthink.gateway.keys import hash_of, new_key
from outthink.gateway.spending import history
from outthink.testing.fake_server import FakeServerProcess, FakeSettings

GROWTH_MEGABYTES = 24
GROWTH_DESCRIPTORS = 64
FAULTS = {
    "server_error": 0.03,
    "rate_limit": 0.03,
    "disconnect": 0.02,
    "truncated_json": 0.01,
    "half_stream": 0.01,
    "null_content": 0.01,
}
MODELS = ("calm", "calm@majority:4", "stormy", "stormy@majority:8", "stormy@best_of_n:4", "stormy@self_refine", "nothing")
CLIENTS = 24
BUSY = ("outthink_requests_under_way ", "outthink_requests_waiting ", "outthink_upstream_in_flight")


@dataclass
class Tally:
    """What the clients saw. `calm_tokens`: what replies of the model without faults said they cost."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    left: int = 0
    calm_tokens: int = 0
    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


def configuration(folder: Path, calm: str, stormy: list[str], key: str) -> str:
    """The gateway's file."""
    ups = "".join(f'[[models.stormy.upstreams]]\nname = "s{i}"\nurl = "{url}"\n' for i, url in enumerate(stormy))
    return (
        f'[server]\nport = 0\nstate = "{folder / "state"}"\n[limits]\nat_once = 16\nqueue = 64\nqueue_seconds = 20\n'
        f'[health]\nevery_seconds = 1\nopen_seconds = 0.5\n[records]\nfolder = "{folder / "records"}"\nmegabytes = 50\n'
        f'[models.calm]\nupstreams = [{{ url = "{calm}" }}]\n[models.stormy]\nverifier = "judge"\n{ups}'
        f'[keys.soak]\nhash = "{hash_of(key)}"\noperator = true\n[logs]\nlevel = "warning"\n'
    )


async def client(session: aiohttp.ClientSession, base: str, rng: random.Random, tally: Tally, until: float) -> None:
    """One client: requests of every kind, one after the other; now and then it leaves in the middle."""
    while time.monotonic() < until:
        model, stream = rng.choice(MODELS), rng.random() < 0.3
        body = {
            "model": model, "max_tokens": 128, "stream": stream,
            **({"stream_options": {"include_usage": True}} if stream else {}),
            "messages": [{"role": "user", "content": f"p{rng.randrange(50)} which number?"}],
        }  # fmt: skip
        leaves = not model.startswith("calm") and rng.random() < 0.1
        try:
            async with asyncio.timeout(rng.random() * 0.05 if leaves else 120):
                await one(session, base, body, tally)
        except TimeoutError:
            if leaves:
                tally.left += 1
            else:
                tally.lost.append(f"{model}: no answer within 120 s")
        except aiohttp.ClientError as error:
            tally.lost.append(f"{model}: {type(error).__name__}: {error}")


async def one(session: aiohttp.ClientSession, base: str, body: dict[str, Any], tally: Tally) -> None:
    """One request, and what came of it."""
    async with session.post(f"{base}/v1/chat/completions", json=body) as reply:
        text = await reply.text()
    tally.statuses[reply.status] += 1
    if reply.status != 200:
        if "error" not in json.loads(text):
            tally.lost.append(f"status {reply.status} without an error: {text[:200]}")
        await asyncio.sleep(0.05)
    elif body["stream"]:
        if not text.rstrip().endswith("data: [DONE]") and '"error"' not in text:
            tally.lost.append(f"a stream that doesn't end: {text[-200:]}")
        text = next((line[6:] for line in reversed(text.splitlines()) if '"usage": {' in line or '"usage":{' in line), "{}")
    if reply.status == 200 and body["model"].startswith("calm"):
        tally.calm_tokens += json.loads(text).get("usage", {}).get("total_tokens", 0)


async def disturb(process: subprocess.Popen[str], upstream: FakeServerProcess, tally: Tally, until: float) -> None:
    """Watch the memory; stop and go on with one upstream; reload now and then."""
    turn = 0
    while time.monotonic() < until:
        await asyncio.sleep(1)
        turn += 1
        tally.megabytes.append(resident(process.pid))
        tally.descriptors.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        if turn % 10 == 4:
            os.kill(upstream.pid, signal.SIGSTOP)
        if turn % 10 == 6:
            os.kill(upstream.pid, signal.SIGCONT)
        if turn % 7 == 0:
            process.send_signal(signal.SIGHUP)
    os.kill(upstream.pid, signal.SIGCONT)


def resident(pid: int) -> float:
    """Megabytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


async def load(base: str, key: str, process: subprocess.Popen[str], upstream: FakeServerProcess, seconds: float) -> Tally:
    """All clients at once; then everything must come to rest."""
    tally, until = Tally(), time.monotonic() + seconds
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(disturb(process, upstream, tally, until))]
        tasks += [asyncio.create_task(client(session, base, random.Random(i), tally, until)) for i in range(CLIENTS)]
        await asyncio.gather(*tasks)
        busy = ["/metrics can't be read"]
        for _ in range(100):
            with suppress(aiohttp.ClientError):
                async with session.get(f"{base}/metrics") as reply:
                    text = await reply.text()
                busy = [line for line in text.splitlines() if line.startswith(BUSY)]
                if busy and all(line.endswith(" 0.0") for line in busy):
                    return tally
            await asyncio.sleep(0.1)
    tally.lost.append(f"still under way 10 s after the last request: {busy}")
    return tally


def soak(seconds: float) -> list[str]:
    """Run it, print what happened, and return what doesn't hold."""
    key, slow = new_key(), {"latency": 0.02, "per_token": 0.0005}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        calm = stack.enter_context(FakeServerProcess(FakeSettings(ledger=False, **slow)))
        stormy = [
            stack.enter_context(FakeServerProcess(FakeSettings(ledger=False, faults=FAULTS, fault_seed=i, **slow)))
            for i in range(2)
        ]
        (folder / "gateway.toml").write_text(
            configuration(folder, calm.url, [each.url for each in stormy], key), encoding="utf-8"
        )
        command = [sys.executable, "-m", "outthink", "serve", "--config", str(folder / "gateway.toml")]
        log = stack.enter_context((folder / "log").open("w+", encoding="utf-8"))
        process = subprocess.Popen(command, stderr=log, text=True)
        try:
            base = listening(folder / "log", process)
            tally = asyncio.run(load(base, key, process, stormy[1], seconds))
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        wrong = [*dict.fromkeys(tally.lost)] + ([f"the gateway ended with code {code}"] if code else [])
        spent = history(folder / "state", "soak", 2)
        charged = sum(row["tokens"] for row in spent)
        quiet, noisy = calm.metrics(), [each.metrics() for each in stormy]
    real = [each["prompt_tokens"] + each["generated_tokens"] for each in (quiet, *noisy)]
    early, late = thirds(tally.megabytes)
    open_early, open_late = thirds(tally.descriptors)
    print(f"{sum(tally.statuses.values())} answers {dict(tally.statuses)}, {tally.left} clients left")
    print(f"charged {charged:.0f} tokens; upstreams computed {sum(real)} (calm {real[0]}, told clients {tally.calm_tokens})")
    print(
        f"memory {early:.1f} MB in the second third, {late:.1f} MB in the last; open files {open_early:.0f} and {open_late:.0f}"
    )
    if charged < sum(real):
        wrong.append(f"charged {charged:.0f} tokens where {sum(real)} were computed")
    if tally.calm_tokens != real[0]:
        wrong.append(f"told clients {tally.calm_tokens} tokens where {real[0]} were computed, without any fault")
    if late - early > GROWTH_MEGABYTES:
        wrong.append(f"memory grew by {late - early:.1f} MB")
    if open_late - open_early > GROWTH_DESCRIPTORS:
        wrong.append(f"open files and connections grew by {open_late - open_early:.0f}")
    return wrong


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the second third and of the last."""
    third = len(values) // 3
    return statistics.median(values[third : 2 * third] or [0]), statistics.median(values[-third:] or [0])


def listening(log: Path, process: subprocess.Popen[str]) -> str:
    """The gateway's base URL, once it says so."""
    for _ in range(600):
        found = [line.split()[-1] for line in log.read_text(encoding="utf-8").splitlines() if "listening on" in line]
        if found:
            return found[0].removesuffix("/v1")
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the gateway didn't start: {log.read_text(encoding='utf-8')}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    wrong = soak(60 * parser.parse_args().minutes)
    print("\n".join(wrong[:20]) or "holds")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
