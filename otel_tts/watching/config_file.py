# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a watcher's file, TOML or JSON. What is not known or cannot be meant is refused, and so is a file that others
may write: who writes it says what is run."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from otel_tts.own_files import changeable_by_others
from otel_tts.trouble import WrongUse
from otel_tts.watching import commands
from otel_tts.watching.config import Action, Canary, Config, Gpu, Limits, Memory, Page, Stages

_LARGEST: Final = 1_000_000
_is_name: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}").fullmatch
_is_header: Final = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch
_PARTS: Final[dict[str, type]] = {
    "page": Page, "canary": Canary, "stages": Stages, "memory": Memory, "gpu": Gpu, "limits": Limits,
}  # fmt: skip
_ACTIONS: Final = ("restart", "gpu_reset")


def read(path: Path) -> Config:
    """Return what the file says. Raises WrongUse, which says what to change."""
    if (reason := changeable_by_others(path)) is not None:
        raise WrongUse(f"A watcher's file says what is run, so nobody else may write it: {reason}")
    try:
        return _config(_load(path))
    except _Wrong as error:
        raise WrongUse(f"{path}: {error}") from None


class _Wrong(ValueError):
    """What a file says cannot be meant."""


def _load(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode()
        found = json.loads(text) if path.suffix == ".json" else _toml(text)
    except (OSError, ValueError) as error:
        raise _Wrong(f"it cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise _Wrong("it is no table")
    return found  # pyright: ignore[reportUnknownVariableType]


def _toml(text: str) -> Any:
    if sys.version_info < (3, 11):
        raise _Wrong("Python 3.10 reads no TOML; write the same as JSON, in a file that ends in .json")
    import tomllib

    return tomllib.loads(text)


def _config(said: Mapping[str, Any]) -> Config:
    said = dict(said)
    parts: dict[str, Any] = {
        name: _fill(cls, _table(said.pop(name), name), f"{name}.") for name, cls in _PARTS.items() if name in said
    }
    parts |= {name: _action(_table(said.pop(name), name), name) for name in _ACTIONS if name in said}
    config: Config = _fill(Config, {**said}, "", parts)
    _check(config)
    return config


def _fill(cls: type, said: Mapping[str, Any], where: str, parts: Mapping[str, Any] | None = None) -> Any:
    known = {f.name: f for f in fields(cls)}
    for name in said:
        if name not in known or name in _PARTS or name in _ACTIONS:
            raise _Wrong(f"{where}{name} is not known; there are {', '.join(known)}")
    values = {name: _value(known[name], value, where + name) for name, value in said.items()} | dict(parts or {})
    for name, one in known.items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise _Wrong(f"{where}{name} is missing")
    return cls(**values)


def _value(one: Field[Any], value: Any, where: str) -> Any:
    read: Callable[[Any, str], Any] | None = _READERS.get(str(one.type))
    return value if read is None else read(value, where)


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise _Wrong(f"{where} must be a number above 0")
    if where.endswith("limit") and value > 1:
        raise _Wrong(f"{where} must be a share, from 0 to 1")
    return float(value)


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _Wrong(f"{where} must be a whole number above 0")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _Wrong(f"{where} must be text")
    if where.endswith("url") and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise _Wrong(f"{where} must be an http:// or https:// URL")
    return value


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"{where} must be true or false")
    return value


def _words(value: Any, where: str) -> tuple[str, ...]:
    """A command is a list of words: what a shell would make of a line is nobody's business here."""
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):  # pyright: ignore[reportUnknownVariableType]
        raise _Wrong(f'{where} must be a list of words, as in ["systemctl", "restart", "tts.service"]')
    return tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _headers(value: Any, where: str) -> dict[str, str]:
    found = {_text(k, where): _text(v, where) for k, v in _table(value, where).items()}
    if not all(_is_header(name) and v.isprintable() and v.isascii() for name, v in found.items()):
        raise _Wrong(f"{where} must be names and values of headers")
    return found


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "float": _number, "int": _whole, "str": _text, "bool": _boolean, "tuple[str, ...]": _words,
    "dict[str, str]": _headers,
}  # fmt: skip


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} must be a table")
    return value  # pyright: ignore[reportUnknownVariableType]


def _action(said: dict[str, Any], where: str) -> Action:
    timeout = {"timeout_s": _number(said.pop("timeout_s"), f"{where}.timeout_s")} if "timeout_s" in said else {}
    try:
        return Action(commands.of(said), **timeout)
    except ValueError as error:
        raise _Wrong(f"{where} {error}") from None


def _check(config: Config) -> None:
    if not _is_name(config.name):
        raise _Wrong("name must be letters, digits, - and _: it names the folder of the watcher's state")
    for key in ("control", "pid_file", "state"):
        if (path := getattr(config, key)) and not path.startswith("/"):
            raise _Wrong(f"{key} must be a whole path, from / on")
    canary = config.canary
    if canary is not None and bool(canary.url) == bool(canary.command):
        raise _Wrong("canary takes either url or command")
    if canary is not None and canary.gradio and not (canary.url and isinstance(canary.json, list)):
        raise _Wrong("canary.gradio takes the page's url, and json with the list of the function's inputs")
    if canary is not None and canary.format not in ("", "pcm16"):
        raise _Wrong("canary.format can be pcm16 only; other formats say themselves what they are")
    if canary is not None and canary.format and not canary.sample_rate:
        raise _Wrong("canary.sample_rate is missing: pcm16 does not say it")
    if config.page is None and canary is None:
        raise _Wrong("there is nothing to look at: name a page or a canary")
    for action in (config.restart, config.gpu_reset, Action(canary.command) if canary and canary.command else None):
        if action is not None and (reason := commands.not_to_be_run(action.command)) is not None:
            raise _Wrong(f"it is not run: {reason}")
