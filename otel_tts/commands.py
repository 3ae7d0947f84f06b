# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that messages suggest, as they work here when they are pasted: by the path of this environment's scripts,
and from where this copy of otel-tts was installed, which need not be an index."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import sysconfig
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_PROGRAM: Final = "otel-tts"
_CHECKOUT: Final = Path(__file__).resolve().parents[1]


def program() -> str:
    """Return how otel-tts is called here: ``otel-tts`` where the shell finds this one, else the path by which it was
    started, as in ``.venv/bin/otel-tts``; for a copy without a script the module. Never raises."""
    script = _scripts() / _PROGRAM
    return _typed(script) if script.is_file() else f"{_typed(Path(sys.executable))} -m otel_tts.cli.main"


def is_on_path() -> bool:
    """Whether the shell finds this otel-tts by its name, as in an environment that is activated. Never raises."""
    return program() == _PROGRAM


def suggest(arguments: str) -> str:
    """Return `program` with `arguments`: ``otel-tts stack up``."""
    return f"{program()} {arguments}"


def pip() -> str:
    """Return how this environment's pip is called; ``pip`` where it has none, as with uv."""
    script = _scripts() / "pip"
    return _typed(script) if script.is_file() else "pip"


def installing(extra: str = "") -> str:
    """Return what installs otel-tts with `extra` into this environment, from where it came before."""
    source, editable = _origin()
    return f"{pip()} install {'--editable ' if editable else ''}{_requirement(source, extra)}"


def installing_elsewhere() -> str:
    """Return what installs this otel-tts into another environment, with that one's pip."""
    return f"pip install {_requirement(_origin()[0])}"


def _requirement(source: Path | str | None, extra: str = "") -> str:
    wanted = f"[{extra}]" if extra else ""
    if isinstance(source, Path):
        return shlex.quote(f"{source}{wanted}")
    return shlex.quote(f"{_PROGRAM}{wanted}" + (f" @ {source}" if source is not None else ""))


def _origin() -> tuple[Path | str | None, bool]:
    """Return the folder, wheel or URL that this copy was installed from, None for an index, and whether it is still
    used from there (PEP 610)."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        try:
            told: dict[str, Any] = json.loads(metadata.distribution(_PROGRAM).read_text("direct_url.json") or "{}")
        except metadata.PackageNotFoundError:  # its files alone are on the path
            return (_CHECKOUT, True) if (_CHECKOUT / "pyproject.toml").is_file() else (None, False)
        parts = urlsplit(str(told["url"]))
        if parts.scheme != "file":
            vcs = told.get("vcs_info")
            return (f"{vcs['vcs']}+{told['url']}@{vcs['commit_id']}" if vcs else told["url"]), False
        from urllib.request import url2pathname  # late: it brings http.client along

        path = Path(url2pathname(parts.path))
        if path.exists():
            return path, bool(told.get("dir_info", {}).get("editable"))
    return None, False


def _scripts() -> Path:
    """Return the folder of this environment's scripts, as it was typed where this process is one of them."""
    started = Path(next(iter(getattr(sys, "argv", ())), ""))  # Python may be embedded, and have none
    return started.parent if started.name == _PROGRAM else Path(sysconfig.get_path("scripts"))


def _typed(executable: Path) -> str:
    """Return what a person types to run `executable`."""
    with suppress(OSError):
        found = shutil.which(executable.name)
        if found is not None and os.path.samefile(found, executable):
            return executable.name
    return shlex.quote(str(executable))
