# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts status ID`: asks the processes of a running service how a request is, or how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from otel_tts.cli import output
from otel_tts.trouble import Trouble, WrongUse

if TYPE_CHECKING:
    from otel_tts.watching.inside import Reply

_NO_FOLDER: Final = """\
Nothing says where the service's control sockets are. Start it with OTEL_TTS_CONTROL=FOLDER, and name the same folder \
here, by that variable or by --control. docs/watch.md has more."""
_UNKNOWN: Final = """\
No process of the service knows it: it has not come to an engine, or another 10 000 requests have ended since, or its \
process has. What it left is in your store: otel-tts find {id}"""
PATIENCE_S: Final = 5.0
"""Seconds that each process has to answer in."""
_LATEST: Final = ("open", "ending", "finished")


@dataclass(frozen=True)
class Status:
    """How a request is: ``open``, ``ending`` (telemetry is made of it), ``finished`` or ``unknown``.

    `said` is what its process tells of it, `mute` are the processes that gave no answer, and might know more.
    """

    state: str = "unknown"
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])
    mute: tuple[int, ...] = ()


def status(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)],
    control: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", envvar="OTEL_TTS_CONTROL", help="The service's folder of sockets.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document instead of a line.")] = False,
) -> None:
    """Ask a running service how a request is, or how it ended: after a stream whose status 200 says nothing.

    Its processes answer at their control sockets (OTEL_TTS_CONTROL), each for the last 10 000 requests that ended in
    it. No store is asked.

    Exit status: 0 when it is known, 1 when it is not or nobody answers, 2 for wrong use.
    """
    with output.explained():
        found = ask(request_id, control)
        if as_json:
            output.print_json({"request_id": request_id, "state": found.state, **found.said, "mute": found.mute})
        elif found.state != "unknown":
            typer.echo(describe(found))
        if found.mute:
            output.say(f"No answer from: {', '.join(map(str, found.mute))} (process number)")
        if found.state == "unknown":
            raise Trouble(_UNKNOWN.format(id=request_id))


def ask(request_id: str, control: Path | None) -> Status:
    """Ask every process. Raises WrongUse for what cannot be meant, Trouble where nobody is there to ask."""
    from otel_tts.recording.request import is_acceptable
    from otel_tts.watching.inside import GONE, Sockets

    if not is_acceptable(request_id):
        raise WrongUse(f"{request_id!r} is no request's id: at most 128 of A-Z a-z 0-9 . _ : -")
    if control is None:
        raise WrongUse(_NO_FOLDER)
    sockets = Sockets(control, PATIENCE_S)
    if (reason := sockets.why_not()) is not None:
        raise Trouble(f"No control socket there is believed: {reason}")
    replies = [reply for reply in sockets.ask(f"status {request_id}") if reply.state != GONE]
    if not replies:
        raise Trouble(f"No process answers in {control}: does the service run, with OTEL_TTS_CONTROL={control}?")
    return put_together(replies)


def put_together(replies: Iterable[Reply]) -> Status:
    """Return what the processes know of one request: an id may have come to several, and the latest counts."""
    replies = list(replies)
    mute = tuple(reply.pid for reply in replies if reply.state or not _is_answer(reply.said))
    told = [dict(reply.said) for reply in replies if reply.pid not in mute and reply.said["state"] in _LATEST]
    if not told:
        return Status(mute=mute)
    said = min(told, key=lambda one: (_LATEST.index(one["state"]), -float(one.get("ended", 0.0))))
    return Status(said.pop("state"), said, mute)


def _is_answer(said: Any) -> bool:
    return isinstance(said, dict) and isinstance(said.get("state"), str)  # pyright: ignore[reportUnknownMemberType]


def describe(found: Status) -> str:
    """Return it as a line for people."""
    said = found.said
    if found.state == "open":
        return f"open for {said['age_s']:.1f} s"
    if found.state == "ending":
        return "has ended this moment: ask again for its outcome"
    error = f" ({said['error_type']})" if "error_type" in said else ""
    several = f", {said['syntheses']} syntheses" if said["syntheses"] > 1 else ""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(said["ended"]))
    return f"{said['outcome']}{error}: {said['audio_s']:.2f} s of audio in {said['duration_s']:.2f} s{several}, at {at}"
