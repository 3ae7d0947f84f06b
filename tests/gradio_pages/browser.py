# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium: Debian's, since Playwright's own is not on PyPI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Without these Chromium asks hosts of its maker at every start.
ALONE = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
PATIENCE = 120_000
"""Milliseconds: the machine may be busy."""


@contextmanager
def chromium(executable: str) -> Iterator[Any]:
    """A browser; closing it closes its tabs as a user would."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ALONE])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One visitor of the page: an own session, with cookies and connections of its own."""

    def __init__(self, browser: Any, url: str) -> None:
        self._context = browser.new_context()
        self.page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(url)
        self.page.locator("#speak").wait_for()

    def upload(self, path: Path) -> None:
        with self.page.expect_response(lambda answer: "/gradio_api/upload" in answer.url):
            self.page.locator("#prompt input[type=file]").set_input_files(path)

    def say(self, text: str) -> None:
        """Type the text, and wait until the page has looked at it."""
        with self.page.expect_response(lambda answer: "/queue/join" in answer.url):
            self.page.locator("#text textarea").fill(text)

    def click(self, traceparent: str, button: str = "speak") -> tuple[str, str]:
        """Click in a trace of the caller's; return the job's id and the request's, as the answer tells them."""
        self.page.set_extra_http_headers({"traceparent": traceparent})
        with self.page.expect_response(lambda answer: "/queue/join" in answer.url) as caught:
            self.page.locator(f"#{button}").click()
        self.page.set_extra_http_headers({})
        answer = caught.value
        return answer.json()["event_id"], answer.headers["x-request-id"]

    def click_and_hear(self, traceparent: str) -> tuple[str, str]:
        """Click, and wait until the page fetches the audio."""
        with self.page.expect_response(lambda answer: "/gradio_api/file=" in answer.url):
            return self.click(traceparent)

    def close(self) -> None:
        self._context.close()
