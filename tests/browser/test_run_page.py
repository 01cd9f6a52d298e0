"""The page of a run in a real browser: on a phone and a desktop, in the dark, by keyboard, and under hostile texts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outthink.report import page
from outthink.testing.simulated import Faults
from tests.browser.conftest import Browser
from tests.report.recorded import MANY, bushy, recorded

Saved = Callable[..., Path]
HOSTILE = (
    '</script><script>window.broken = 1</script><img src=x onerror="window.broken=1"><svg onload="window.broken=1">'
    "\u202eesrever\u2066\x1b[31m\x00\x07 &lt;b&gt; {{1}} ${1} javascript:alert(1) " + "long" * 400
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of runs of every kind, each as a file of its own."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name: str, change: Callable[[dict[str, Any]], object] = lambda view: None) -> Path:
        document = page.document(folder / f"{name}.db")
        change(document["views"][0])
        (folder / f"{name}.html").write_text(page.standalone(document), encoding="utf-8")
        return folder / f"{name}.html"

    recorded(folder / "one.db", "single")
    recorded(folder / "votes.db", "weighted_majority", parameters={"n": 24}, faults=Faults(lost=0.3, broken=frozenset({3, 7})))
    recorded(folder / "tree.db", "beam_search", world=bushy(), parameters={"width": 9, "branching": 3})
    recorded(folder / "many.db", "majority", world=MANY, parameters={"n": 5000})
    recorded(folder / "evil.db", "best_of_n", parameters={"n": 6})
    recorded(folder / "cut.db", "adaptive_consistency", budget="5 samples, 20k tokens, 1 min")
    return {name: write(name) for name in ("one", "votes", "tree", "many", "cut")} | {"evil": write("evil", _poison)}


def _poison(view: dict[str, Any]) -> None:
    """Put hostile text wherever a model, a user or a server can put any."""
    view["answer"] = view["reason"] = view["problem"]["text"] = HOSTILE
    view["notes"] = [HOSTILE]
    view["settings"] |= {"model": HOSTILE, "parameters": {HOSTILE[:60]: HOSTILE}}
    for each in view["classes"]:
        each["text"] = HOSTILE + each["text"]
    for each in view["offers"]:
        each["answer"] = HOSTILE
    for each in view["samples"]:
        each |= {"text": HOSTILE, "answer": HOSTILE, "given": HOSTILE, "score": None, "role": "<b>role"}
    view["samples"][1] |= {"state": "failed", "reason": HOSTILE, "finish": HOSTILE}
    view["scores"] = None


@pytest.mark.parametrize("name", ["one", "votes", "tree", "many", "cut", "evil"])
@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (768, False), (1280, True)])
def test_it_fits_every_screen(name: str, width: int, dark: bool, files: dict[str, Path], browser: Browser) -> None:
    browser.size(width, dark=dark)
    browser.open(files[name])
    assert browser.script("return document.documentElement.scrollWidth") <= width
    outside = (
        "return [...document.querySelectorAll('main *')].filter(e => { const box = e.getBoundingClientRect();"
        " return box.width && (box.left < -1 || box.right > innerWidth + 1) && !e.closest('.scroll, .list, pre, svg, .hidden') })"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert browser.script(outside) == []


def test_light_and_dark_can_be_read(files: dict[str, Path], browser: Browser) -> None:
    for dark in (False, True):
        browser.size(1280, dark=dark)
        browser.open(files["votes"])
        low = browser.script(CONTRAST)
        assert low == []
    assert browser.script("return getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 24)"


CONTRAST = """
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parsed = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const colour = parsed(getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const written = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
const shown = (e) => e.getClientRects().length && !e.closest(".hidden, .skip, option");
return [...document.querySelectorAll("main *, header *")].filter((e) => written(e) && shown(e)).map((e) => {
  const svg = e.namespaceURI.includes("svg");
  const ink = parsed(getComputedStyle(e)[svg ? "fill" : "color"]), page = behind(e);
  const [a, b] = [light(ink), light(page)].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), e.textContent.slice(0, 40)];
}).filter(([ratio]) => ratio < 4.5);
"""


def test_it_says_what_was_answered_and_why(files: dict[str, Path], browser: Browser) -> None:
    browser.open(files["votes"])
    view = page.document(files["votes"].with_suffix(".db"))["views"][0]
    assert browser.text(".answer") == view["answer"]
    assert "of" in browser.text(".why")
    assert browser.count(".vote") == len(view["classes"])
    assert browser.text(".vote.chosen .vote-name") == view["answer"]
    failed = sum(each["state"] == "failed" for each in view["samples"])
    assert failed
    browser.script(
        "const e = document.querySelector('[data-key=only]'); e.value = 'failed'; e.dispatchEvent(new Event('change'))"
    )
    assert browser.text("[role=status].small").startswith(f"{failed} of {len(view['samples'])}")
    assert browser.count(".row .failed") == failed
    browser.open(files["cut"])
    assert "budget spent" in browser.text(".state")
    assert "samples is spent: 5 of 5 used" in browser.text(".why")
    assert browser.count(".meter") == 3


def test_hostile_text_is_shown_and_nothing_in_it_is_obeyed(files: dict[str, Path], browser: Browser) -> None:
    for width in (1280, 360):
        browser.size(width)
        browser.open(files["evil"])
        browser.script("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        browser.script("document.querySelector('.row').click()")
        assert browser.script("return window.broken") is None
        assert browser.count("main img, main script, main b, svg[onload]") == 0
        shown = browser.text("dialog pre:last-of-type" if width == 360 else ".detail pre:last-of-type")
        assert "</script><script>window.broken = 1</script><img src=x" in shown
        assert "\ufffdesrever\ufffd\u241b[31m\u2400\u2407 &lt;b&gt;" in shown
        everything = browser.script("return document.body.innerText")
        assert not {"\u202e", "\u2066", "\x1b", "\x00"} & set(everything)


def test_thousands_of_samples_are_listed_without_drawing_them_all(files: dict[str, Path], browser: Browser) -> None:
    browser.open(files["many"])
    assert browser.text("[role=status].small") == "5\u202f000 samples."
    assert 5 < browser.count(".row") < 60
    browser.script("document.querySelector('[role=listbox]').focus()")
    browser.press("END")
    browser.wait(lambda: browser.text(".row[aria-selected=true] .row-id") == "0#4999")
    assert browser.count(".row") < 60
    assert "0#4999" in browser.text(".detail h3")
    browser.press("ARROW_UP", "PAGE_UP", "HOME", "ARROW_DOWN")
    browser.wait(lambda: browser.text(".row[aria-selected=true] .row-id") == "0#1")
    active = browser.script("return document.querySelector('[role=listbox]').getAttribute('aria-activedescendant')")
    described = browser.script(
        "const e = document.getElementById(arguments[0]); return [e.ariaSetSize, e.ariaPosInSet, e.role]", active
    )
    assert described == ["5000", "2", "option"]
    browser.click("[data-key=all-classes]")
    assert browser.count(".vote") == 60
    assert browser.count(".glance path") == 9  # seven answers, the others, none: one path each


def test_searching_keeps_the_focus_and_escape_leaves_the_field(files: dict[str, Path], browser: Browser) -> None:
    browser.open(files["many"])
    browser.click("[data-key=search]")
    browser.press("a", "5", "9")
    assert browser.focused()["key"] == "search"
    assert browser.script("return document.activeElement.value") == "a59"
    assert browser.text("[role=status].small").endswith("of 5\u202f000 samples.")
    browser.press("q")
    assert "None fits the filter." in browser.text("main")
    browser.press("BACKSPACE")
    assert browser.count(".row") > 5


def test_a_phone_shows_a_sample_over_the_page_and_escape_closes_it(files: dict[str, Path], browser: Browser) -> None:
    browser.size(360, 740)
    browser.open(files["votes"])
    browser.click(".row")
    assert browser.count("dialog[open]") == 1
    assert "Sample 0#0" in browser.text("dialog h3")
    assert browser.script(
        "const b = document.querySelector('dialog').getBoundingClientRect(); return b.left >= 0 && b.right <= 360"
    )
    browser.press("ESCAPE")
    assert browser.count("dialog[open]") == 0
    reachable = "return [...document.querySelectorAll('button, select, input, .row')].map((e) => e.offsetHeight)"
    assert all(height == 0 or height >= 36 for height in browser.script(reachable))  # a finger hits it


def test_a_tree_is_walked_with_the_arrow_keys(files: dict[str, Path], browser: Browser) -> None:
    view = page.document(files["tree"].with_suffix(".db"))["views"][0]
    ids = {each["id"]: each for each in view["samples"]}
    browser.open(files["tree"])
    assert browser.count("[role=tree] [role=treeitem][tabindex='0']") == 1  # one stop on the way through the page
    browser.script("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()")
    at = ids[browser.focused()["key"].removeprefix("node-")]
    while at["parent"] is not None:
        browser.press("ARROW_LEFT")
        above = ids[browser.focused()["key"].removeprefix("node-")]
        assert above["id"] == view["samples"][at["parent"]]["id"]
        at = above
    browser.press("ARROW_RIGHT")
    below = ids[browser.focused()["key"].removeprefix("node-")]
    assert view["samples"][below["parent"]]["id"] == at["id"]
    browser.press("HOME", "ARROW_DOWN", "ENTER")
    browser.wait(lambda: browser.text(".detail h3").startswith(f"Sample {browser.script(SELECTED)}"))
    assert browser.count(".edge.chosen") == ids[view["chosen"]]["depth"] + 1
    assert browser.count(".legend .swatch") == 8
    scored = {each["id"] for each in view["samples"] if each["score"] is not None}
    drawn = browser.script("return [...document.querySelectorAll('.node:not(.unscored)')].map((e) => e.dataset.key.slice(5))")
    assert set(drawn) <= scored


SELECTED = "return document.querySelector('.row[aria-selected=true] .row-id').textContent"


def test_the_keyboard_reaches_everything_and_what_it_reaches_is_named(files: dict[str, Path], browser: Browser) -> None:
    browser.open(files["tree"])
    browser.press("TAB")
    assert browser.script("return document.activeElement.className") == "skip"
    keys, unnamed = [], []
    for _ in range(60):
        browser.press("TAB")
        if browser.focused()["tag"] == "body":
            break
        keys.append(browser.focused()["key"] or browser.focused()["label"])
        seen = browser.script(
            "const e = document.activeElement, s = getComputedStyle(e.querySelector?.('.reach') ?? e);"
            "return s.outlineStyle !== 'none' || s.stroke !== 'none'"
        )
        name = browser.driver.switch_to.active_element.accessible_name
        if not seen or not name:
            unnamed.append(browser.focused())
    assert unnamed == []
    for wanted in ("search", "only", "sort", "list", "steps", "settings", "generations"):
        assert wanted in keys
    assert sum(key.startswith("node-") for key in keys) == 1


def test_screen_readers_find_headings_lists_and_words_for_pictures(files: dict[str, Path], browser: Browser) -> None:
    for name in ("votes", "tree"):
        browser.open(files[name])
        levels = browser.script("return [...document.querySelectorAll('main :is(h1, h2, h3)')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        unnamed = (
            "return [...document.querySelectorAll('svg')]"
            ".filter((e) => !e.closest('[aria-hidden=true]') && !e.getAttribute('aria-label')).length"
        )
        assert browser.script(unnamed) == 0
        assert browser.script("return document.documentElement.lang") == "en"
        assert browser.script("return document.title").endswith("– Outthink")
        options = browser.script(
            "return [...document.querySelectorAll('[role=listbox] [role=option]')].every((e) => e.ariaSetSize && e.ariaSelected)"
        )
        assert options
