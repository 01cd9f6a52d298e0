"""The page's files: nothing from elsewhere, nothing that a text could break out of."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from outthink.report import page
from outthink.report.page.journal import MOST_TEXT
from tests.report.recorded import recorded

EVIL = "</script><script>window.broken=1</script><!--<img src=x onerror=window.broken=1>\u2028\u202e\x00\ud800&lt;"


class Tags(HTMLParser):
    """Every element with its attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    recorded(tmp_path / "run.db", "weighted_majority", parameters={"n": 4})
    return page.document(tmp_path / "run.db")


def test_a_file_of_its_own_holds_its_data_whatever_is_in_it(document: dict[str, Any]) -> None:
    view = document["views"][0]
    view["problem"]["text"] = view["answer"] = view["samples"][0]["text"] = EVIL
    tags = Tags(page.standalone(document))
    scripts = tags.all("script")
    assert [attributes.get("type") for attributes, _ in scripts] == ["application/json", None]
    assert json.loads(scripts[0][1]) == document
    assert not tags.all("img")
    assert not any("src" in attributes for _, attributes, _ in tags.found)
    assert all(str(attributes["href"]).startswith(("#", "data:")) for _, attributes, _ in tags.found if "href" in attributes)


def test_only_its_own_script_and_style_may_run(document: dict[str, Any]) -> None:
    text = page.standalone(document)
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
    assert policy is not None
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inner = text.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none';")
    assert "unsafe" not in policy[1]
    assert "unsafe" not in page.HEADERS["Content-Security-Policy"]


def test_no_file_asks_for_anything_from_elsewhere_or_writes_markup() -> None:
    for name in page.STATIC:
        found = page.static(name)
        assert found is not None
        text = found[0].decode()
        assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|\bstyle=", text), name


def test_each_script_imports_only_from_those_before_it() -> None:
    scripts = [name for name in page.STATIC if name.endswith(".js")]
    for at, name in enumerate(scripts):
        found = page.static(name)
        assert found is not None
        assert set(re.findall(r'from "\./([^"]+)"', found[0].decode())) <= set(scripts[:at])


@pytest.mark.parametrize("name", ["", "../page/files.py", "/etc/passwd", "static/main.js", "main.js/", "..", "MAIN.js"])
def test_no_other_file_is_given(name: str) -> None:
    assert page.static(name) is None


def test_one_run_of_many_and_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import outthink
    from outthink.testing.trials import WORLD
    from tests.report.recorded import Virtual

    settings: dict[str, Any] = {"model": Virtual(WORLD), "task": WORLD.task, "strategies": ["majority"], "budgets": ["4 samples"]}
    outthink.evaluate(WORLD.problems, replicates=3, journal=tmp_path / "eval.db", **settings)
    whole = page.document(tmp_path / "eval.db")
    names = [each["name"] for each in whole["home"]["runs"]]
    assert [each["name"] for each in whole["views"]] == names
    assert len(names) == 3
    one = page.document(tmp_path / "eval.db", names[1])
    assert [each["name"] for each in (*one["home"]["runs"], *one["views"])] == [names[1], names[1]]
    monkeypatch.setattr("outthink.report.page.journal.MOST_CHARACTERS", 10)
    cut = page.document(tmp_path / "eval.db")
    assert [each["name"] for each in cut["views"]] == names[:1]
    assert [each.get("closed", False) for each in cut["home"]["runs"]] == [False, True, True]
    assert all(len(sample["text"]) <= MOST_TEXT for sample in whole["views"][0]["samples"])
