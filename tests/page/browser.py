"""A headless Chromium, as Debian has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.page.visitor import CODE

TIMEOUT = 20.0


class Browser:
    """Drives one person's browser, and waits for whatever is requested of it."""

    def __init__(self, driver: Chrome, address: str) -> None:
        """Open a tab on the worker at `address`, ``http://host:port``."""
        self.driver = driver
        self._address = address

    def open(self, path: str = "") -> None:
        self.driver.get(f"{self._address}/page/{path}")

    def sign_in(self, name: str, token: str = CODE) -> None:
        self.open()
        self.one("input[name=name]").send_keys(name)
        self.one("input[name=token]").send_keys(token)
        self.press("main button")
        self.one("nav, [role=alert]")

    def one(self, selector: str) -> WebElement:
        """Wait for and return the first visible element."""

        def seen(driver: Chrome) -> WebElement | bool:
            return next(
                (each for each in driver.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()), False
            )

        found = self._wait(selector).until(seen)
        assert isinstance(found, WebElement)
        return found

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that are there now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def press(self, selector: str) -> None:
        self.one(selector).click()

    def until(self, expression: str, *arguments: object) -> None:
        """Wait until this JavaScript is true. It runs in the page, where nothing is replaced meanwhile."""
        self._wait(expression).until(lambda driver: driver.execute_script(f"return {expression}", *arguments))

    def until_shows(self, selector: str, text: str) -> None:
        condition = "document.querySelector(arguments[0])?.textContent.includes(arguments[1])"
        self.until(condition, selector, text)

    def evaluate(self, expression: str) -> object:
        return self.driver.execute_script(f"return {expression}")

    def complaints(self) -> list[str]:
        """Return errors of scripts from the console, and what the Content-Security-Policy has blocked."""
        driver: Any = self.driver  # this method of it has no types
        found = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [each for each in found if "status of 40" not in each]  # signed out; not found

    def send_header(self, name: str, value: str) -> None:
        """Send this header with every request from now on, as a proxy would."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {name: value}})

    def be_phone(self, width: int = 390, height: int = 844) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def _wait(self, what: str) -> WebDriverWait[Chrome]:
        return WebDriverWait(self.driver, TIMEOUT, poll_frequency=0.1)


@contextmanager
def browsing(folder: Path, address: str, *, dark: bool = False) -> Iterator[Browser]:
    """Run a browser with its profile in `folder`."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        f"--user-data-dir={folder}",
        "--lang=vi",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": "vi"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(TIMEOUT)
        if dark:
            scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        yield Browser(driver, address)
    finally:
        driver.quit()
