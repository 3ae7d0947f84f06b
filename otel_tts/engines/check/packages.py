# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where Python packages are read from: as they are installed here (`Installed`), or out of wheels (`Wheels`)."""

from __future__ import annotations

import importlib.util
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from otel_tts.engines.check.modules import File, Module


class Packages:
    """Python modules by name, as far as `_read` of a subclass finds them."""

    def __init__(self) -> None:
        self._modules: dict[str, Module | None] = {}

    def _read(self, name: str) -> File | None:
        raise NotImplementedError

    def module(self, name: str) -> Module | None:
        """Return the module, None where it is not there."""
        if name not in self._modules:
            file = self._read(name)
            self._modules[name] = None if file is None else Module(name, file)
        return self._modules[name]


class Wheels(Packages):
    """Modules in wheels (or other zip files), or below folders."""

    def __init__(self, *places: Path) -> None:
        super().__init__()
        self._places: dict[str, Path | zipfile.ZipFile] = {}
        for place in places:
            opened = place if place.is_dir() else zipfile.ZipFile(place)
            for name in _names_in(opened):
                self._places.setdefault(name, opened)

    def _read(self, name: str) -> File | None:
        path = name.replace(".", "/")
        for ending, package in ((".py", False), ("/__init__.py", True), (".pyi", False), ("/__init__.pyi", True)):
            if path + ending in self._places:
                return File(self._bytes(path + ending), package)
        for inner in self._places:
            if inner.startswith(path + ".") and inner.endswith(".so"):
                return File(self._bytes(inner), compiled=True)
            if inner.startswith(path + "/"):
                return File(b"", package=True)  # a namespace package
        return None

    def _bytes(self, name: str) -> bytes:
        place = self._places[name]
        return place.read(name) if isinstance(place, zipfile.ZipFile) else (place / name).read_bytes()


class Installed(Packages):
    """Modules as this interpreter would import them; only the place of a top-level package is asked for."""

    def _read(self, name: str) -> File | None:
        top, _, rest = name.partition(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if not rest:
            file = Path(spec.origin) if spec.origin and spec.has_location else None
            if file is None:
                return File(b"", package=True) if spec.submodule_search_locations else None
            return _load(file, spec.submodule_search_locations is not None)
        inner = Path(*rest.split("."))
        for root in spec.submodule_search_locations or ():
            at = Path(root) / inner
            for file, package in ((at.with_name(at.name + ".py"), False), (at / "__init__.py", True)):
                if file.is_file():
                    return _load(file, package)
            for suffix in EXTENSION_SUFFIXES:
                if (file := at.with_name(at.name + suffix)).is_file():
                    return _load(file, False)
            if at.is_dir():
                return File(b"", package=True)
        return None


def _load(file: Path, package: bool) -> File:
    return File(file.read_bytes(), package, compiled=file.suffix not in (".py", ".pyi"))


def _names_in(place: Path | zipfile.ZipFile) -> list[str]:
    if isinstance(place, zipfile.ZipFile):
        return place.namelist()
    return [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]
