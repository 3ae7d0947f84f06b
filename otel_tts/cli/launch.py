# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The launcher, with this distribution chosen by name: what ``otel-tts run -- COMMAND`` does.

``opentelemetry-instrument`` takes the first distribution that it finds, and which one is first depends on the order of
directories. This decides it. No parser of options is needed for it, so none is imported: it would take as long as all
the rest.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from otel_tts import variables
from otel_tts.commands import is_on_path, suggest

_CHOICE: Final = {"OTEL_PYTHON_DISTRO": "otel_tts", "OTEL_PYTHON_CONFIGURATOR": "otel_tts"}
_WRONG_USE: Final = 2
_CANNOT_EXECUTE: Final = 126
_NOT_FOUND: Final = 127


def arguments_of(given: Sequence[str]) -> list[str] | None:
    """Return what to launch where `given` is ``run`` and a command; None where options are to be read."""
    match given:
        case ["run", "--", *arguments]:
            return arguments
        case ["run", first, *rest] if not first.startswith("-"):
            return [first, *rest]
        case _:
            return None


def launch(arguments: Sequence[str]) -> NoReturn:
    """Become the program that `arguments` name, under otel-tts. Ends this one with a message where that cannot be."""
    command = list(arguments)
    if command[:1] == ["--"]:
        del command[0]
    if not command:
        raise _failure(f"no command to run; usage: {suggest('run -- COMMAND [ARGUMENTS]')}", _WRONG_USE)
    executable = find(command[0])
    if option := _keeps_us_out(command):
        print(
            f"otel-tts run: with {option} Python leaves out what otel-tts gets into it by (PYTHONPATH, site):"
            f" nothing will be recorded. Leave {option} out, or call otel_tts.configure() in the program.",
            file=sys.stderr,
        )
    _leave_out_missing_propagators()
    os.environ.update(launch_environment(os.environ))
    try:
        os.execv(executable, command)
    except OSError as error:
        raise _failure(f"{command[0]} cannot be run: {error.strerror}", _CANNOT_EXECUTE) from None


def find(command: str) -> str:
    """Return the path of `command`. Ends the program with a message, as a shell would, when there is none.

    PATH decides, then what lies beside this Python. Where this otel-tts was started by its path, from an environment
    that is not activated, it is the other way round: what PATH has is another environment's, which lacks otel-tts.
    """
    beside = str(Path(sys.executable).parent)
    places = (None, beside) if is_on_path() else (beside, None)
    if executable := next(filter(None, (shutil.which(command, path=place) for place in places)), None):
        return executable
    if Path(command).is_file():
        raise _failure(
            f"{command} is not executable; a Python file: {suggest('run -- python')} {command}", _CANNOT_EXECUTE
        )
    raise _failure(f"{command} was not found; is it installed in this environment, and on PATH?", _NOT_FOUND)


def _keeps_us_out(command: Sequence[str]) -> str | None:
    """Return the option of Python's own in `command` with which it imports no sitecustomize: -I, -E or -S."""
    if not _is_python(Path(command[0]).name):
        return None
    rest = iter(command[1:])
    for argument in rest:
        if not _is_option(argument):
            break
        for at, letter in enumerate(argument[1:], start=1):
            if letter in "IES":
                return f"-{letter}"
            if letter in "cm":
                return None
            if letter in "WX":  # a value is the rest of the argument, or the next
                if at == len(argument) - 1:
                    next(rest, None)
                break
    return None


_is_python: Final = re.compile(r"(python|pypy)[\d.]*(\.exe)?").fullmatch
_is_option: Final = re.compile(r"-[A-Za-z?].*", re.DOTALL).fullmatch


def _leave_out_missing_propagators() -> None:
    """Say so here: whatever in the program imports OpenTelemetry would die of one that is not installed."""
    for problem in variables.missing_propagators(os.environ):
        print(f"otel-tts run: {problem}", file=sys.stderr)
        os.environ[problem.rule.name] = str(problem.use)


def launch_environment(environ: Mapping[str, str]) -> MutableMapping[str, str]:
    """Return what has to be set so that a Python started with it, and those that it starts, loads this distribution."""
    from opentelemetry.instrumentation import auto_instrumentation

    first = str(Path(auto_instrumentation.__file__).resolve().parent)  # its sitecustomize.py does the loading
    paths = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != first]
    return {**_CHOICE, "PYTHONPATH": os.pathsep.join(_unique([first, *_here(), *paths]))}


def _here() -> list[str]:
    """As with the launcher: programs with an executable of their own look there. It may have been removed meanwhile."""
    try:
        return [str(Path.cwd())]
    except FileNotFoundError:
        return []


def _unique(paths: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _failure(message: str, code: int) -> SystemExit:
    print(f"otel-tts run: {message}", file=sys.stderr)
    return SystemExit(code)
