# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A mail server that keeps what it is given: as much of SMTP as a sender without TLS speaks."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage


class MailServer:
    """Use it as a context; `address` is host:port, `mails` what came."""

    def __enter__(self) -> MailServer:
        self.mails: list[EmailMessage] = []
        mails = self.mails

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 ready")
                while line := self.rfile.readline():
                    match line[:4].upper():
                        case b"QUIT":
                            self._say("221 bye")
                            break
                        case b"DATA":
                            self._say("354 go on")
                            mails.append(self._read())
                            self._say("250 taken")
                        case _:
                            self._say("250 ok")

            def _read(self) -> EmailMessage:
                lines: list[bytes] = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return email.message_from_bytes(b"".join(lines), policy=email.policy.default)  # type: ignore[return-value]

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()
