"""A headless Chromium that opens made-up pages and takes note of what they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = (
    "<script>window.ran = 1; alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<!-- <script>",
    "]]> --> &lt;b&gt;",
    '"onerror="alert(3)" x="',
    "{{7*7}} {% raw %} ${7*7}",
    "right to left \u202e evil",
    "nul \x00 escape \x1b bell \x07",
    "lone \ud800 surrogate",
    "long" * 150,
    "emoji \U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "שלום مرحبا",
)


@dataclass
class Opened:
    """A page and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; without one the tests are skipped, or fail where DRAFTWISE_BROWSER says that it is required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        why = f"no browser was found under the names {', '.join(NAMES)}"
        if os.environ.get("DRAFTWISE_BROWSER") == "required":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, *, width: int = 1600, scheme: str = "light") -> Iterator[Opened]:
    """A page in a window of its own; every error, dialogue and request of it is noted."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    seen = Opened(page)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("dialog", lambda dialog: (seen.errors.append(f"dialogue {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]")
    page.evaluate("document.fonts.ready")
    yield seen
    context.close()


def marks(page: Page) -> dict[str, int]:
    """For each chart how many shapes stand for data, which leaves out axes, grids and rules without data."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".drawing")].map((box) => [box.id,
            box.querySelectorAll("[data-mark=dot] > *, [data-mark=bar] > *, [data-mark=line] > *").length]))"""
    )


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
