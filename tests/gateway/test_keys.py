"""Keys, and what they spend by the day: hashed, recognised, bounded, and never forgotten by a crash."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from outthink.cli.app import app
from outthink.cli.terminal import Output
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, BudgetCut, JournalDamaged, JournalLocked
from outthink.gateway.config import KeySettings, parse
from outthink.gateway.guesses import MOST_ADDRESSES, Guesses
from outthink.gateway.keys import KeyRing, bearer, hash_of, new_key
from outthink.gateway.refusal import Refusal
from outthink.gateway.spending import Spending, history
from outthink.runtime.ledger import Ask
from tests.gateway.asking import Clock

FIRST = (0, (), 0, 0)


def ring(spending: Spending, *, keyless: bool = False, **settings: Any) -> tuple[KeyRing, str]:
    key = new_key()
    return KeyRing({"alice": KeySettings(hash=hash_of(key), **settings)}, spending, keyless=keyless), key


def test_a_key_is_recognised_by_its_hash_and_nothing_holds_it() -> None:
    keys, key = ring(Spending(None), strategy="majority:8", operator=True, models=("qwen",), strategies=("best-of-n",))
    caller = keys.caller({"authorization": f"Bearer {key}"}, "10.0.0.1")
    assert (caller.name, caller.strategy, caller.operator) == ("alice", "majority:8", True)
    assert (caller.models, caller.strategies) == ({"qwen"}, {"best_of_n"})
    assert key not in repr(caller)
    assert key not in repr(vars(keys))
    assert keys.caller({"authorization": f"bearer  {key} "}, "").name == "alice"


@given(st.text(max_size=600))
def test_no_other_text_is_a_key(text: str) -> None:
    keys, _ = ring(Spending(None))
    told = set()
    for sent in (text, "wrong"):
        with pytest.raises(Refusal) as refused:
            keys.caller({"authorization": f"Bearer {sent}"}, "")
        told.add((refused.value.status, str(refused.value)))
    assert len(told) == 1, "what was sent is not said again"
    assert refused.value.status == 401


def test_a_missing_a_wrong_and_an_expired_key_look_alike() -> None:
    clock = Clock(86_400 * 365.25 * 56)  # in 2026
    keys, key = ring(Spending(None, now=clock), expires=date(2027, 1, 1))
    assert keys.caller({"authorization": f"Bearer {key}"}, "").name == "alice"
    clock.now += 86_400 * 366
    told = set()
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {key}"}, {"authorization": f"Basic {key}"}):
        with pytest.raises(Refusal) as refused:
            keys.caller(headers, "")
        told.add((refused.value.status, str(refused.value)))
    assert len(told) == 1


def test_who_needs_no_key_is_anyone_and_a_wrong_key_is_still_wrong() -> None:
    keys, key = ring(Spending(None), keyless=True)
    assert keys.caller({}, "").name == "anyone"
    assert not keys.caller({}, "").operator
    assert keys.caller({"authorization": f"Bearer {key}"}, "").name == "alice"
    with pytest.raises(Refusal):
        keys.caller({"authorization": "Bearer wrong"}, "")
    alone = KeyRing({}, Spending(None), keyless=True)
    assert alone.caller({"authorization": "Bearer whatever"}, "").operator  # nobody else can reach the port


def test_whoever_guesses_is_told_to_wait_and_locks_nobody_out() -> None:
    key, clock = new_key(), Clock(0.0)
    guesses = Guesses(3, clock)
    keys = KeyRing({"alice": KeySettings(hash=hash_of(key))}, Spending(None), guesses=guesses)

    def status(sent: str = "Bearer wrong", address: str = "10.0.0.1") -> tuple[int, float | None]:
        try:
            keys.caller({"authorization": sent}, address)
        except Refusal as refused:
            return refused.status, refused.retry_after
        return 200, None

    assert [status()[0] for _ in range(5)] == [401, 401, 401, 429, 429]
    assert status(f"Bearer {key}") == (200, None)  # whoever shares the address goes on
    assert status("") == (401, None)  # no key is no guess
    assert status(address="10.0.0.2")[0] == 401
    code, wait = status()
    assert (code, wait) == (429, pytest.approx(20))
    clock.now += wait or 0
    assert [status()[0], status()[0]] == [401, 429]
    clock.now += 60
    assert [status()[0] for _ in range(4)] == [401, 401, 401, 429]
    # One customer has all addresses of a /64, and a mapped address is the plain one.
    assert [status(address=f"2001:db8::{at:x}")[0] for at in range(5)] == [401, 401, 401, 429, 429]
    assert status(address="2001:db8:0:1::1")[0] == 401
    assert status(address="::ffff:10.0.0.1")[0] == 429


@pytest.mark.parametrize("address", ["", "unix", "fe80::1%eth0", ":::", "1.2.3"])
def test_any_address_may_guess(address: str) -> None:
    guesses = Guesses(1, Clock(0.0))
    assert [guesses.wrong(address).status for _ in range(2)] == [401, 429]


def test_addresses_of_guessers_are_forgotten_before_they_fill_memory() -> None:
    guesses = Guesses(1, Clock(0.0))
    for at in range(MOST_ADDRESSES + 100):
        guesses.wrong(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}")
        guesses.wrong("192.168.0.1")  # who goes on guessing is remembered
    assert len(guesses._paid_until) == MOST_ADDRESSES
    assert guesses.wrong("192.168.0.1").status == 429


def test_bearer() -> None:
    assert bearer(None) is bearer("") is bearer("Bearer") is bearer("Bearer  ") is None
    assert bearer("BEARER a b") == "a b"


@pytest.mark.parametrize("key", ["", "secret", "a" * 64, "correct horse", "käse" * 20, "x" * 600, "0123456789"])
def test_a_key_that_could_be_guessed_is_not_hashed(key: str) -> None:
    with pytest.raises(BadInput) as raised:
        hash_of(key)
    assert len(key) < 5 or key not in str(raised.value)


def test_the_command_line_makes_keys_that_the_configuration_takes(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["keys", "new", "alice"], obj=Output())
    assert made.exit_code == 0, made.output
    key, _, table = made.stdout.partition("\n\n")
    text = f'[models.a]\nupstreams = [{{ url = "http://localhost:1" }}]\n[server]\nstate = "{tmp_path}"\n{table}'
    config = parse(text)
    assert KeyRing(config.keys, Spending(None)).caller({"authorization": f"Bearer {key}"}, "").name == "alice"
    hashed = CliRunner().invoke(app, ["keys", "hash", "alice"], input=f"{key}\n", obj=Output())
    assert hashed.stdout == table
    (tmp_path / "g.toml").write_text(text)
    spending = Spending(tmp_path)
    spending.open()
    spending.day("alice", Budget()).scope.used[4] = 123
    spending.close()
    said = CliRunner().invoke(app, ["keys", "spent", "--config", str(tmp_path / "g.toml")], obj=Output())
    assert "alice" in said.stdout
    assert "123 tokens" in said.stdout
    assert CliRunner().invoke(app, ["keys", "new", "a b"], obj=Output()).exit_code != 0


async def test_requests_at_once_cant_overspend_a_day_together(tmp_path: Path) -> None:
    spending = Spending(tmp_path)
    spending.open()
    day, ledger = spending.day("alice", Budget(tokens=1000)), spending.ledger
    first = await ledger.reserve(day.scope, Ask(1, 100, 500), FIRST)
    with pytest.raises(TimeoutError):  # 600 are reserved: a second one must wait for what comes back
        await asyncio.wait_for(ledger.reserve(day.scope, Ask(1, 100, 500), FIRST), 0.01)
    ledger.settle(first, samples=1, prompt=100, completion=100)
    second = await ledger.reserve(day.scope, Ask(1, 100, 500), FIRST)
    ledger.settle(second, samples=1, prompt=100, completion=500)
    assert day.spent["tokens"] == 800
    assert day.left == {"tokens": 200}
    third = await ledger.reserve(day.scope, Ask(1, 100, 500), FIRST)
    assert third.max_tokens == 100
    ledger.settle(third, samples=1, prompt=100, completion=100)
    with pytest.raises(BudgetCut, match=r"daily \(alice\) budget of tokens"):
        await ledger.reserve(day.scope, Ask(1, 100, 500), FIRST)
    spending.close()


async def test_what_was_spent_survives_an_orderly_restart_exactly(tmp_path: Path) -> None:
    spending = Spending(tmp_path)
    spending.open()
    for name, budget in (("alice", Budget(tokens=10_000)), ("bob", Budget())):
        day = spending.day(name, budget)
        grant = await spending.ledger.reserve(day.scope, Ask(1, 10, 90), FIRST)
        spending.cover(day)
        spending.ledger.settle(grant, samples=1, prompt=10, completion=25)
    spending.close()
    again = Spending(tmp_path)
    again.open()
    for name in ("alice", "bob"):
        assert again.day(name, Budget(tokens=10_000)).spent == {
            "samples": 1, "calls": 1, "prompt_tokens": 10, "completion_tokens": 25, "tokens": 35, "usd": 0,
        }  # fmt: skip
    again.close()


KILLED = """
import asyncio, os, signal, sys
from outthink.core.budget import Budget
from outthink.gateway.spending import Spending
from outthink.runtime.ledger import Ask
from pathlib import Path

async def main():
    spending = Spending(Path(sys.argv[1]))
    spending.open()
    day, sent = spending.day("alice", Budget(tokens=100_000)), 0
    for turn in range(int(sys.argv[2])):
        grant = await spending.ledger.reserve(day.scope, Ask(1, 50, 200), (0, (), 0, 0))
        spending.cover(day)
        sent += 250
        if turn % 3:
            spending.ledger.settle(grant, samples=1, prompt=50, completion=150)
            sent -= 50
    print(sent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize("turns", [1, 2, 40])
def test_kill_9_never_makes_the_file_say_less_than_was_sent(turns: int, tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(turns)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    sent = int(killed.stdout)
    spending = Spending(tmp_path)
    spending.open()  # the lock went with its owner
    known = spending.day("alice", Budget(tokens=100_000)).spent["tokens"]
    spending.close()
    assert sent <= known <= sent + 2 * 100_000 / 100


def test_days_begin_at_midnight_where_the_operator_says(tmp_path: Path) -> None:
    clock = Clock(1_798_754_400.0)  # 2026-12-31 22:00 UTC
    berlin, utc = Spending(None, "Europe/Berlin", now=clock), Spending(None, now=clock)
    assert (berlin.today(), utc.today()) == (date(2026, 12, 31), date(2026, 12, 31))
    assert (berlin.seconds_to_midnight(), utc.seconds_to_midnight()) == (3600, 7200)
    old = berlin.day("alice", Budget(tokens=5))
    old.scope.used[4] = 5
    clock.now += 3600
    assert berlin.today() == date(2027, 1, 1)
    assert berlin.day("alice", Budget(tokens=5)).left == {"tokens": 5}
    assert old.left == {"tokens": 0}  # a request that began yesterday pays from yesterday


def test_days_gone_by_are_forgotten_unless_requests_go_on(tmp_path: Path) -> None:
    clock = Clock()
    spending = Spending(tmp_path, now=clock)
    spending.open()
    for name in ("alice", "bob"):
        spending.day(name, Budget()).scope.used[0] = 7
    going_on = spending.day("bob", Budget())
    going_on.requests = 1
    clock.now += 86_400
    spending.day("alice", Budget())
    assert {(day.key, day is going_on) for day in spending._days.values()} == {("alice", False), ("bob", True)}
    going_on.scope.used[0] = 9
    spending.close()
    assert [row["samples"] for row in history(tmp_path, "bob", 5)] == [9]
    assert [row["samples"] for row in history(tmp_path, "alice", 5)] == [7]


def test_a_new_limit_holds_for_what_is_under_way() -> None:
    spending = Spending(None)
    day = spending.day("alice", Budget())
    day.scope.used[4] = 50.0
    assert spending.day("alice", Budget(tokens=80)) is day
    assert day.left == {"tokens": 30}
    assert spending.day("alice", Budget()).left == {}


def test_one_gateway_for_each_state(tmp_path: Path) -> None:
    first, second = Spending(tmp_path), Spending(tmp_path)
    first.open()
    with pytest.raises(JournalLocked, match=r"give each its own server\.state"):
        second.open()
    first.close()
    second.open()
    second.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "spending.db").write_bytes(b"no database" * 100)
    with pytest.raises(JournalDamaged, match="move it away"):
        Spending(tmp_path / "other").open()


async def test_what_cant_be_written_lets_nobody_in(tmp_path: Path) -> None:
    spending = Spending(tmp_path)
    spending.open()
    day = spending.day("alice", Budget(tokens=1000))
    grant = await spending.ledger.reserve(day.scope, Ask(1, 10, 90), FIRST)
    assert spending._db is not None
    spending._db.execute("PRAGMA query_only=ON")  # as a full disk or a lost mount would
    spending.cover(day)
    assert spending.unwritable
    spending._db.execute("PRAGMA query_only=OFF")
    spending.flush()
    assert not spending.unwritable
    spending.ledger.settle(grant, samples=1, prompt=10, completion=1)
    spending.close()
    assert json.dumps(history(tmp_path, "alice", 1)[0]["tokens"]) == "11.0"
    assert os.stat(tmp_path / "spending.db").st_size
    with closing(sqlite3.connect(tmp_path / "spending.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
