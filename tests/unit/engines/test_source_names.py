# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is found in source without importing it, and that what cannot be decided is not called missing."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from otel_tts.engines.check.names import FOUND, MISSING, UNREAD, Found, attribute, find, takes
from otel_tts.engines.check.packages import Installed, Packages, Wheels

FILES = {
    "speaks/__init__.py": """
        from .engine import Engine as Speaker
        from .engine import *
        from . import tools
        import speaks.tools as kit
        import speaks.deep.inner
    """,
    "speaks/engine.py": """
        import json
        from torch import nn
        from typing import Protocol
        from .tools import think, Tool

        try:
            from fast import speed
        except ImportError:
            def speed(text): ...

        if json:
            def late(text): yield text

        class Base(Protocol):
            volume: int
            tool: Tool
            def inherited(self, text): return text
            def _set(self): self.private = self.first, self.second = 1, 2

        class Engine(Base):
            alias = Base.inherited
            def __init__(self, path, *, voice=None): self.path = path
            @property
            def rate(self) -> int: return 1
            def speak(self, text, voice="anna", **options):
                def inner(): yield 1
                return inner()
            def stream(self, text):
                for word in text: yield word
            async def chat(self, text): return text
            async def listen(self, text):
                yield text
            def other(self): pass
            other = stream

        class Net(nn.Module):
            def forward(self, x): return x

        class Made(make_base()): pass
        class Loose:
            def __init__(self, values): self.__dict__.update(values)

        speak_aloud = think
        shared = Engine("x")
    """,
    "speaks/tools.py": """
        def think(text, *, hard=False, **more): ...
        class Tool:
            def __init__(self): self.edge: int = 3
    """,
    "speaks/deep/inner.py": "value = 3\n",
    "speaks/circle.py": "from .round import a\n",
    "speaks/round.py": "from .circle import a\n",
    "speaks/lazy.py": "def __getattr__(name): ...\n",
    "speaks/broken.py": "def (:\n",
    "speaks/star.py": "from nowhere import *\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    (tmp_path / "speaks" / "native.cpython-311-x86_64-linux-gnu.so").write_bytes(b"\x7fELF\0Voice\0the text\0sing\0")
    return tmp_path


@pytest.fixture(params=["folder", "wheel", "installed"])
def packages(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    if request.param == "folder":
        return Wheels(folder)
    if request.param == "wheel":
        wheel = folder.parent / "speaks-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path in folder.rglob("*"):
                archive.write(path, path.relative_to(folder))
        return Wheels(wheel)
    native = folder / "speaks" / "native.cpython-311-x86_64-linux-gnu.so"
    native.rename(native.with_name("native.abi3.so"))  # a name that every Python on Linux takes
    monkeypatch.syspath_prepend(str(folder))
    return Installed()


@pytest.mark.parametrize(
    ("module", "target", "kind"),
    [
        ("speaks.engine", "Engine.speak", "function"),
        ("speaks.engine", "Engine.stream", "generator"),
        ("speaks.engine", "Engine.chat", "coroutine"),
        ("speaks.engine", "Engine.listen", "async generator"),
        ("speaks.engine", "Engine", "class"),
        ("speaks.engine", "Engine.inherited", "function"),
        ("speaks.engine", "Engine.alias", "function"),
        ("speaks.engine", "Engine.volume", "value"),
        ("speaks.engine", "late", "generator"),
        ("speaks.engine", "speed", "function"),
        ("speaks.engine", "speak_aloud", "function"),
        ("speaks", "Speaker.stream", "generator"),
        ("speaks", "Net.forward", "function"),
        ("speaks", "tools.think", "function"),
        ("speaks", "kit.think", "function"),
        ("speaks", "speaks.deep.inner.value", "value"),
        ("speaks", "deep.inner.value", "value"),
    ],
)
def test_a_name_is_found_where_an_import_would_find_it(packages: Packages, module: str, target: str, kind: str) -> None:
    found = find(packages, module, target)
    assert (found.state, found.why, found.kind) == (FOUND, "", kind)
    assert "speaks" not in sys.modules


@pytest.mark.parametrize(
    ("module", "target", "why"),
    [
        ("speaks.engine", "Engine.sing", "speaks.engine.Engine has no sing"),
        ("speaks.engine", "Singer", "speaks.engine has no Singer"),
        ("speaks.gone", "f", "there is no module speaks.gone"),
        ("speaks.broken", "f", "speaks.broken is not read by this Python"),
        ("speaks.native", "Voice.dance", "does not name dance"),
    ],
)
def test_what_is_missing_is_said_with_its_place(packages: Packages, module: str, target: str, why: str) -> None:
    found = find(packages, module, target)
    assert found.state == MISSING and why in found.why


@pytest.mark.parametrize(
    ("module", "target", "why"),
    [
        ("speaks.engine", "Net.eval", "torch is not among the packages"),
        ("speaks.engine", "Made.speak", "a base of Made is made at run time"),
        ("speaks.engine", "shared.speak", "made at run time"),
        ("speaks.lazy", "Engine", "makes its names as they are asked for"),
        ("speaks.circle", "a", "leads round in a circle"),
        ("speaks.star", "f", "f may come from nowhere"),
        ("speaks.native", "Voice.sing", "is compiled; the names stand in it"),
        ("nowhere", "f", "the package nowhere is not among those"),
    ],
)
def test_what_cannot_be_decided_is_not_missing(packages: Packages, module: str, target: str, why: str) -> None:
    if "torch" in why and isinstance(packages, Installed) and importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is installed here, so its Module is read")
    found = find(packages, module, target)
    assert found.state == UNREAD and why in found.why


@pytest.mark.parametrize(
    ("module", "target", "parameter", "taken"),
    [
        ("speaks.engine", "Engine.speak", "text", True),
        ("speaks.engine", "Engine.speak", "voice", True),
        ("speaks.engine", "Engine.speak", "whatever", True),
        ("speaks.engine", "Engine.stream", "voice", False),
        ("speaks.engine", "Engine", "voice", True),
        ("speaks.engine", "Engine", "text", False),
        ("speaks.engine", "speak_aloud", "hard", True),
        ("speaks.engine", "shared", "text", None),
        ("speaks.native", "Voice.sing", "text", True),
        ("speaks.native", "Voice.sing", "tempo", False),
    ],
)
def test_parameters_are_those_of_the_definition(
    packages: Packages, module: str, target: str, parameter: str, taken: bool | None
) -> None:
    assert takes(packages, find(packages, module, target), parameter) is taken


@pytest.mark.parametrize(
    ("target", "path", "state"),
    [
        ("Engine", "path", FOUND),
        ("Engine", "rate", FOUND),
        ("Engine", "private", FOUND),
        ("Engine", "second", FOUND),
        ("Engine", "volume", FOUND),
        ("Engine", "tool.edge", FOUND),
        ("Engine", "tool.handle", MISSING),
        ("Engine", "path.deeper", FOUND),  # nothing says what it is
        ("Engine", "singer", MISSING),
        ("Loose", "anything", UNREAD),
        ("Made", "anything", UNREAD),
    ],
)
def test_attributes_of_an_instance_are_what_its_methods_set(
    packages: Packages, target: str, path: str, state: str
) -> None:
    assert attribute(packages, find(packages, "speaks.engine", target), path).state == state


def test_a_buffer_of_a_network_is_an_attribute(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net:\n    def __init__(self): self.register_buffer('mean', 1)\n")
    packages = Wheels(tmp_path)
    assert attribute(packages, find(packages, "net", "Net"), "mean").state == FOUND
    assert attribute(packages, find(packages, "net", "Net"), "median").state == MISSING


def test_a_method_knows_the_class_that_was_named(packages: Packages) -> None:
    owner = find(packages, "speaks", "Speaker.inherited").owner
    assert isinstance(owner, Found) and owner.is_class
    assert attribute(packages, owner, "path").state == FOUND


def test_what_python_brings_itself_is_read_where_it_is_installed() -> None:
    installed = Installed()
    assert takes(installed, find(installed, "json", "JSONEncoder.encode"), "o")
    assert find(installed, "sys", "path").state == UNREAD
    assert find(installed, "no_such_package_anywhere", "f").state == UNREAD


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud" / "__init__.py").write_text("raise SystemExit('ran')\n")
    (tmp_path / "loud" / "inner.py").write_text("raise SystemExit('ran')\ndef f(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find(Installed(), "loud.inner", "f").state == FOUND
