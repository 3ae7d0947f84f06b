# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A gRPC service of speech whose messages are bytes: ``grpc_service.py PORT threads``, ``asyncio`` or ``mixed``."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from concurrent import futures
from typing import Any

import grpc
from speech import say, stream, stumble

SERVICE = "speech.v1.Speech"


def speak(text: bytes, context: Any) -> bytes:
    return say(text.decode()).tobytes()


def speak_slowly(text: bytes, context: Any) -> bytes:
    answer = speak(text, context)
    time.sleep(0.5)
    return answer


def recite(text: bytes, context: Any) -> Any:
    for samples in stream(text.decode()):
        yield samples.tobytes()
        time.sleep(0.05)


def fail(text: bytes, context: Any) -> bytes:
    stumble(text.decode())
    return b""


def refuse(text: bytes, context: Any) -> None:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, text.decode())


def gather(texts: Any, context: Any) -> bytes:
    return speak(b" ".join(texts), context)


def converse(texts: Any, context: Any) -> Any:
    for text in texts:
        yield speak(text, context)


def greet(text: bytes, context: Any) -> bytes:
    context.send_initial_metadata((("x-mine", "1"),))
    return speak(text, context)


async def gather_async(texts: Any, context: Any) -> bytes:
    return speak(b" ".join([text async for text in texts]), context)


async def converse_async(texts: Any, context: Any) -> Any:
    async for text in texts:
        yield speak(text, context)


async def greet_async(text: bytes, context: Any) -> bytes:
    await context.send_initial_metadata((("x-mine", "1"),))
    return speak(text, context)


async def write_async(text: bytes, context: Any) -> None:
    for samples in stream(text.decode()):
        await context.write(samples.tobytes())


async def speak_async(text: bytes, context: Any) -> bytes:
    return speak(text, context)


async def speak_slowly_async(text: bytes, context: Any) -> bytes:
    answer = speak(text, context)
    await asyncio.sleep(0.5)
    return answer


async def recite_async(text: bytes, context: Any) -> Any:
    for samples in stream(text.decode()):
        yield samples.tobytes()
        await asyncio.sleep(0.05)


async def fail_async(text: bytes, context: Any) -> bytes:
    return fail(text, context)


async def refuse_async(text: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text.decode())


KINDS = {
    "Speak": grpc.unary_unary_rpc_method_handler,
    "SpeakSlowly": grpc.unary_unary_rpc_method_handler,
    "Recite": grpc.unary_stream_rpc_method_handler,
    "Fail": grpc.unary_unary_rpc_method_handler,
    "Refuse": grpc.unary_unary_rpc_method_handler,
    "Gather": grpc.stream_unary_rpc_method_handler,
    "Converse": grpc.stream_stream_rpc_method_handler,
    "Greet": grpc.unary_unary_rpc_method_handler,
    "Write": grpc.unary_stream_rpc_method_handler,
}


def add_methods(server: Any, *codes: Any) -> None:
    handlers = {name: make(code) for (name, make), code in zip(KINDS.items(), codes, strict=True)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def serve(address: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add_methods(server, speak, speak_slowly, recite, fail, refuse, gather, converse, greet, recite)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


async def serve_async(address: str, kind: str) -> None:
    server = grpc.aio.server()
    mixed = speak if kind == "mixed" else speak_async  # a plain function runs on a thread
    add_methods(
        server, mixed, speak_slowly_async, recite_async, fail_async, refuse_async, gather_async, converse_async,
        greet_async, write_async,
    )  # fmt: skip
    server.add_insecure_port(address)
    await server.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(server.stop(1)))
    await server.wait_for_termination()


if __name__ == "__main__":
    address = f"127.0.0.1:{sys.argv[1]}"
    serve(address) if sys.argv[2] == "threads" else asyncio.run(serve_async(address, sys.argv[2]))
