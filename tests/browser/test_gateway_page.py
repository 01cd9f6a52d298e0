"""The gateway's page and `outthink view` in a real browser: signing in, looking on while a run goes on, going back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outthink.cli.view import PageServer
from outthink.testing.trials import commits
from tests.browser.conftest import Browser
from tests.gateway.paged import KEYS, Paged, paged
from tests.report.recorded import recorded


class Running:
    """A gateway on an event loop of its own, since a browser is waited for without one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._loop = folder, asyncio.new_event_loop()
        self._begun, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.gateway: Paged | None = None

    async def _serve(self) -> None:
        try:
            async with paged(self._folder) as self.gateway:
                self._begun.set()
                await self._stop.wait()
        finally:
            self._begun.set()

    def __enter__(self) -> Running:
        self._thread.start()
        self._begun.wait(30)
        assert self.gateway is not None
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    @property
    def page(self) -> str:
        assert self.gateway is not None
        return f"{self.gateway.url}/page/"

    def do(self, what: Callable[[Paged], Awaitable[Any]]) -> Any:
        """Do something on the gateway's loop and wait for it."""

        async def done() -> Any:
            assert self.gateway is not None
            return await what(self.gateway)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as running:
        yield running


def sign_in(browser: Browser, page: str, key: str) -> None:
    browser.open(page)
    browser.wait(lambda: browser.focused()["tag"] == "input")
    browser.press(*key, "ENTER")


def refused(browser: Browser) -> list[str]:
    """The browser notes replies that are errors; those of signing in are meant."""
    return [each for each in browser.complaints() if "401" not in each]


def test_a_key_opens_the_page_and_a_wrong_one_does_not(running: Running, browser: Browser) -> None:
    running.do(lambda gateway: gateway.ask("alice"))
    running.do(lambda gateway: gateway.ask("bob"))
    sign_in(browser, running.page, "wrong")
    browser.wait(lambda: browser.count("[role=alert]"))
    assert browser.count("a.run, .meter") == 0
    browser.press(*KEYS["alice"], "ENTER")
    browser.wait(lambda: browser.count("a.run"))
    assert browser.text("main h1") == "Gateway"
    assert browser.count(".run") == 1  # bob's is not hers
    assert "60 of 100k" in browser.text(".meter")
    assert KEYS["alice"] not in browser.script("return document.body.innerText + location.href + document.cookie")
    assert refused(browser) == []


def test_requests_appear_by_themselves_and_escape_leads_back(running: Running, browser: Browser) -> None:
    sign_in(browser, running.page, KEYS["operator"])
    browser.wait(lambda: browser.text("main h1") == "Gateway")
    assert browser.text("#live") == "live"
    running.do(lambda gateway: gateway.ask("alice"))
    browser.wait(lambda: browser.count("a.run"))

    def opened() -> bool:
        """Its record may still be on its way to the disk."""
        if browser.count(".answer"):
            return True
        browser.script("(document.querySelector('a.run') ?? document.querySelector('main button'))?.click()")
        return False

    browser.wait(opened)
    assert browser.text(".answer") == "42"
    assert "3 of 4 votes" in browser.text(".why")
    assert browser.text("#live") == ""  # it has ended
    browser.press("ESCAPE")
    browser.wait(lambda: browser.text("main h1") == "Gateway")
    assert [each for each in refused(browser) if "404" not in each] == []
    for width in (360, 1280):
        browser.size(width)
        assert browser.script("return document.documentElement.scrollWidth") <= width


def test_arrow_keys_go_from_request_to_request(running: Running, browser: Browser) -> None:
    for _ in range(3):
        running.do(lambda gateway: gateway.ask("alice"))
    sign_in(browser, running.page, KEYS["alice"])
    browser.wait(lambda: browser.count("a.run") == 3)
    browser.script("document.querySelector('a.run').focus()")
    keys = [browser.focused()["key"]]
    for _ in range(2):
        browser.press("ARROW_DOWN")
        keys.append(browser.focused()["key"])
    assert len(set(keys)) == 3
    browser.wait(
        lambda: browser.script(
            "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('data/home')).length > 3"
        )
    )
    assert browser.focused()["key"] == keys[-1]  # drawn anew, and still there
    assert refused(browser) == []


def test_a_run_under_way_grows_before_the_eyes(tmp_path: Path, browser: Browser) -> None:
    journal = tmp_path / "run.db"
    with commits(tmp_path / "all.db") as states:
        result = recorded(tmp_path / "all.db", "adaptive_consistency", budget="8 samples")
    journal.write_bytes(states[len(states) // 2])
    server = PageServer(journal)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        browser.open(server.url)
        assert browser.text(".state") == "not finished"
        assert browser.text("#live") == "live"
        before = browser.count(".row")
        browser.script("document.querySelector('[data-key=search]').focus()")
        (tmp_path / "new.db").write_bytes(states[-1])
        (tmp_path / "new.db").replace(journal)
        browser.wait(lambda: browser.text(".state") in ("finished", "budget spent"))
        assert browser.count(".row") > before
        assert browser.text(".answer") == result.answer
        assert browser.focused()["key"] == "search"
        assert browser.text("#live") == ""
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_journal_of_many_runs_is_a_list(tmp_path: Path, browser: Browser) -> None:
    import outthink
    from outthink.report import page
    from outthink.testing.trials import WORLD
    from tests.report.recorded import Virtual

    settings: dict[str, Any] = {"model": Virtual(WORLD), "task": WORLD.task, "strategies": ["majority", "single"]}
    outthink.evaluate(WORLD.problems, budgets=["4 samples"], replicates=3, journal=tmp_path / "eval.db", **settings)
    (tmp_path / "eval.html").write_text(page.standalone(page.document(tmp_path / "eval.db")), encoding="utf-8")
    browser.open(tmp_path / "eval.html")
    assert browser.count("a.run") == 6
    browser.script("document.querySelector('a.run').focus()")
    browser.press("ENTER")
    browser.wait(lambda: browser.count(".answer"))
    assert browser.script("return document.activeElement.id") == "main"  # a screen reader begins there
    browser.press("ESCAPE")
    browser.wait(lambda: browser.count("a.run") == 6)
