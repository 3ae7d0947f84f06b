# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""`otel-tts relay`: alerts to the chats and mailboxes of people, with what was found about them."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_tts.cli import output
from otel_tts.cli.find import places_of

if TYPE_CHECKING:
    from otel_tts.relaying.evidence import Witness
    from otel_tts.relaying.relay import Relay


def relay(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where Alertmanager sends.")] = "127.0.0.1:9099",
    to_file: Annotated[Path | None, typer.Option(help="File of addresses, else RELAY_TO.", show_default=False)] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File of Alertmanager's token, else RELAY_TOKEN, else the stack's.", show_default=False),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the messages: en or zh.")] = "en",
    link: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where people see a trace, with {trace_id} in it; else the stack's page.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of what is not delivered yet.", show_default=False)] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of files, as OTEL_TTS_FILE_DIR.", show_default=False)
    ] = None,
    traces: Annotated[
        str | None, typer.Option(metavar="URL", envvar="RELAY_TRACES", help="Store of traces: Jaeger, Tempo.")
    ] = None,
    logs: Annotated[
        str | None, typer.Option(metavar="URL", envvar="RELAY_LOGS", help="Store of log records: VictoriaLogs, Loki.")
    ] = None,
) -> None:
    """Take alerts from Alertmanager and bring them to WeChat Work, DingTalk, Feishu, Slack, mail, …

    Each message has the last ten failing lines, the slowest request's stages and a link to it; what is not delivered is
    kept on disk and sent later. Addresses and tokens come from files of your own (chmod 600) or the environment.

    Exit status: 0 when it was ended by a signal, 1 when it cannot run, 2 for wrong use.
    """
    with output.explained():
        from otel_tts.relaying import credentials, places
        from otel_tts.relaying.message import LANGUAGES
        from otel_tts.relaying.relay import Relay
        from otel_tts.relaying.spool import Spool
        from otel_tts.stack.places import state as state_folder

        if language not in LANGUAGES:
            raise typer.BadParameter(f"{language!r} is none of {', '.join(LANGUAGES)}")
        if link and not (link.startswith(("http://", "https://")) and "{trace_id}" in link):
            raise typer.BadParameter(
                f"{link!r} is no URL with {{trace_id}} in it, as in https://HOST/trace/{{trace_id}}"
            )
        address = _address(listen)
        token = _token(token_file)
        named = places.read(credentials.read(places.VARIABLE, to_file))
        spool = Spool(state or state_folder() / "relay")
        seen_at = link if link is not None else "" if folder or traces else _page()
        one = Relay(named, spool, _witness(folder, traces, logs), language, seen_at, output.say)
        _serve(one, address, token, [place.name for place in named])


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise typer.BadParameter(f"{listen!r} is not HOST:PORT, as in 127.0.0.1:9099")
    return host.strip("[]"), int(port)


def _token(path: Path | None) -> str:
    """What Alertmanager has to say to be let in. Raises WrongUse where there is no token."""
    from otel_tts.relaying import credentials
    from otel_tts.stack.places import relay_token
    from otel_tts.trouble import WrongUse

    if token := credentials.read("RELAY_TOKEN", path):
        return token
    if (own := relay_token()).is_file():
        return credentials.read("", own)
    raise WrongUse(
        "There is no token by which Alertmanager is known. Write one into a file of your own (umask 077; openssl rand "
        "-hex 32 > FILE), give it here by --token-file and to Alertmanager as credentials_file (docs/relay.md)."
    )


def _page() -> str:
    """Where the stack on this machine shows a trace."""
    from otel_tts.stack.run import Stack

    return f"{Stack().url('jaeger_http')}/trace/{{trace_id}}"


def _witness(folder: Path | None, traces: str | None, logs: str | None) -> Witness:
    from otel_tts.readers.choice import choose_logs, choose_traces
    from otel_tts.relaying.evidence import Witness

    return Witness(
        lambda: choose_traces(places_of(folder, traces, logs)).store,
        lambda: choose_logs(places_of(folder, traces, logs)).store,
    )


def _serve(relay: Relay, address: tuple[str, int], token: str, names: list[str]) -> None:
    from otel_tts.relaying.server import HOOK, Server
    from otel_tts.trouble import Trouble

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: ended.set())
    try:
        server = Server(address, relay, token)
    except OSError as error:
        raise Trouble(f"{address[0]}:{address[1]} cannot be listened at: {error.strerror}.") from None
    with server:
        threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True).start()
        relay.start()
        host, port = server.server_address[:2]
        output.say(f"alerts are taken at http://{host}:{port}{HOOK} and go to {', '.join(names)}; Ctrl-C ends it")
        ended.wait()
        server.shutdown()
    relay.end()
