# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Real Gradio pages in processes of their own under the launcher, with Gradio 5 and with Gradio 6.

These tests need an environment of their own (tests/environments); elsewhere they are not collected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "integration"))

collect_ignore_glob = [] if find_spec("gradio") else ["test_*.py"]

LAUNCHER = str(Path(sys.executable).with_name("opentelemetry-instrument"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """`start("speech.py", ...)`: the page at work, once it listens; `command` where it is not a script."""
    import socket
    from contextlib import ExitStack

    from driving import Page, environment
    from otlp_sink import OtlpSink
    from serving import Server

    with ExitStack() as stack:

        def run(*script: str, command: tuple[str, ...] = (), root: str = "", patience: float = 120, **env: str) -> Page:
            sink = stack.enter_context(OtlpSink())
            folder = tmp_path_factory.mktemp("page")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            asked = command or (sys.executable, str(HERE / "pages" / script[0]), "{port}", *script[1:])
            line = [LAUNCHER, *(part.format(port=port) for part in asked)]
            server = Server(line, environment(sink, **env), folder, port)
            stack.callback(server.clean_up)
            server.wait_until_it_listens(patience)
            return Page(server, sink, folder, root)

        yield run


@pytest.fixture(scope="session")
def page(start: Callable[..., Any]) -> Any:
    """The page with the small voice, for tests that leave it as it is."""
    return start("speech.py")
