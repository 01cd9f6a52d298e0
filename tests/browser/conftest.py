"""Chromium without a window, driven by its own driver. Tests are skipped, saying so, where it isn't installed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


class Browser:
    """A window with a page in it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def size(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Be a screen of that size that prefers light or dark."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})

    def open(self, url: str | Path, until: str = "main h1, main h2") -> None:
        """Load a page afresh, and wait until it is drawn."""
        self.driver.get("about:blank")
        self.driver.get(url.as_uri() if isinstance(url, Path) else url)
        self.wait(lambda: self.script("return document.querySelector(arguments[0]) !== null", until))
        self.settle()

    def settle(self) -> None:
        """Wait until what the page left for its next frames is drawn: lists and trees are."""
        self.script("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def wait(self, until: Callable[[], Any]) -> Any:
        """Wait until something is so."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 60, 0.05).until(lambda _: until())

    def script(self, text: str, *arguments: Any) -> Any:
        """Run a script in the page; gives what it returns."""
        return self.driver.execute_script(text, *arguments)

    def text(self, selector: str) -> str:
        """The visible text of the first such element, once the page is drawn."""
        self.settle()
        return str(self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def count(self, selector: str) -> int:
        """How many such elements there are, once the page is drawn."""
        self.settle()
        return int(self.script("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        """Bring the first such element into sight and click on it as a person does."""
        from selenium.webdriver.common.by import By

        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        from selenium.webdriver import ActionChains, Keys

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(getattr(Keys, key, key))
        actions.perform()
        self.settle()

    def focused(self) -> dict[str, Any]:
        """What has the focus: its tag, key, role and label."""
        return dict(
            self.script(
                "const e = document.activeElement; return {tag: e.tagName.toLowerCase(), key: e.dataset?.key ?? '',"
                " role: e.getAttribute('role') ?? '', label: e.getAttribute('aria-label') ?? ''}"
            )
        )

    def complaints(self) -> list[str]:
        """What the browser wrote into its console: errors, and whatever a policy kept from being loaded."""
        return [each["message"] for each in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("chromium and chromedriver are not installed (on Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (the extra dev)")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(_driver: Chrome) -> Iterator[Browser]:
    """A window of desktop size. A test in which the browser complains fails."""
    browser = Browser(_driver)
    browser.size(1280)
    browser.complaints()
    yield browser
    complaints = browser.complaints()
    _driver.get("about:blank")
    assert complaints == []
