# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import signal
import sys

import tornado.web
from speaking import WAYS


class Answer(tornado.web.RequestHandler):
    async def get(self, way: str, said: str) -> None:
        audio = await asyncio.to_thread(WAYS[way], said)
        self.set_header("content-type", "audio/wav")
        self.write(audio)


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tornado.web.Application([("/(.+)/(.+)", Answer)]).listen(int(sys.argv[1]), "127.0.0.1")
    await stop.wait()


asyncio.run(main())
