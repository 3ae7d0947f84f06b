# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts voice FILE…`: which voice in telemetry is this reference recording?"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from otel_tts import settings
from otel_tts.cli import output

_NO_KEY: Final = """\
OTEL_TTS_HASH_KEY is not set here. Without it every process hashes with a random key of its own, so a hash made here \
would match none in the service's telemetry.
Set it in the service's environment and in this one to the same secret, as in: export OTEL_TTS_HASH_KEY=…"""


@dataclass(frozen=True)
class Voice:
    """A recording and what stands in ``tts.voice`` for it: `name` where one was chosen, else `hash`; or the `error`."""

    file: str
    hash: str | None = None
    name: str | None = None
    error: str | None = None


def voice(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Reference recordings.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of lines.")] = False,
) -> None:
    """Tell the keyed hash by which a reference recording goes in telemetry, as `tts.voice`.

    OTEL_TTS_HASH_KEY has to be the service's. OTEL_TTS_VOICE_NAMES=HASH=NAME,… gives a hash a name of your choice,
    which then stands in its place.

    Exit status: 0 when all files were read, 1 otherwise, 2 for wrong use.
    """
    chosen = settings.read()
    if not chosen.hash_key:
        raise output.fail(_NO_KEY)
    for problem in chosen.problems:
        output.say(problem)
    found = list(look(files, chosen))
    if as_json:
        output.print_json({"voices": [asdict(each) for each in found]})
    else:
        for each in found:
            if each.error is None:
                typer.echo(f"{each.hash}  {each.file}" + (f"  {each.name}" if each.name else ""))
    for each in found:
        if each.error is not None:
            output.say(f"{each.file}: {each.error}")
    if any(each.error for each in found):
        raise typer.Exit(1)


def look(files: list[Path], chosen: settings.Settings) -> list[Voice]:
    """Hash each of `files` as a service with these settings does."""
    from otel_tts.emit.voices import VoiceNames

    names = VoiceNames(chosen)
    found: list[Voice] = []
    for file in files:
        hashed = names.hash_file(file)
        if hashed is None:
            found.append(Voice(str(file), error=_why(file)))
            continue
        name, _ = names.name(hashed)
        found.append(Voice(str(file), hashed, name if name != hashed else None))
    return found


def _why(file: Path) -> str:
    """Say why `file` could not be read."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return f"{error.strerror or error}; a voice that is no file is a preset, for which there is OTEL_TTS_VOICES"
    if stat.S_ISDIR(mode):
        return "a folder, not a recording"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return "it may not be read" if not os.access(file, os.R_OK) else "it cannot be read"
