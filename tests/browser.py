"""Debian's Chromium, driven by Playwright, for the tests that look at a page."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium")


def missing() -> str | None:
    """What is not installed, or None."""
    if CHROMIUM is None:
        return "needs apt-get install chromium"
    if importlib.util.find_spec("playwright") is None:
        return "needs pip install playwright"
    return None


@contextmanager
def open_page(url: str) -> Iterator[Page]:
    """A page in a browser of its own, without a profile; a fault of its script fails the test."""
    from playwright.sync_api import sync_playwright

    faults: list[str] = []
    with sync_playwright() as playwright:
        # --no-sandbox: tests run as root in containers, and the page is our own.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto(url)
        yield page
        browser.close()
    assert not faults, faults
