# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A failed call's frames hold tensors: once the application has handled the error nothing of ours keeps them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import otel_tts


class Tensor:
    """Something large that a frame of the engine holds."""


held: list[weakref.ref[Tensor]] = []


def run_out_of_memory() -> None:
    tensor = Tensor()
    held.append(weakref.ref(tensor))
    raise RuntimeError("out of memory")


def plain() -> None:
    run_out_of_memory()


async def coroutine() -> None:
    run_out_of_memory()


def stream() -> Iterator[int]:
    yield 1
    run_out_of_memory()


async def stream_async() -> Any:
    yield 1
    run_out_of_memory()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("wrap", [otel_tts.synthesis("m"), otel_tts.stage("vocoder")], ids=["synthesis", "stage"])
@pytest.mark.parametrize("function", [plain, coroutine, stream, stream_async])
def test_a_failed_calls_frames_are_freed_without_the_collector(
    world: Any, no_collector: None, wrap: Callable[..., Any], function: Callable[..., Any]
) -> None:
    wrapped = wrap(function)
    here = world()

    async def call() -> bool:
        try:
            if function is stream_async:
                async for _ in wrapped():
                    pass
            elif function is coroutine:
                await wrapped()
            else:
                list(wrapped() or ())
        except RuntimeError:
            pass
        return held[-1]() is None  # asked inside the loop: asyncio.run itself keeps the error in a cycle

    with here.synthesis():
        assert asyncio.run(call())


@pytest.mark.parametrize("wrap", [otel_tts.synthesis("m"), otel_tts.stage("vocoder")], ids=["synthesis", "stage"])
@pytest.mark.parametrize("function", [stream, stream_async])
def test_an_error_that_is_thrown_into_a_stream_is_not_kept(
    world: Any, no_collector: None, wrap: Callable[..., Any], function: Callable[..., Any]
) -> None:
    here = world()

    async def call() -> bool:
        tensor = Tensor()
        kept = weakref.ref(tensor)
        running = wrap(function)()
        error = KeyError(tensor)
        try:
            if function is stream:
                next(running)
                running.throw(error)
            else:
                await running.__anext__()
                await running.athrow(error)
        except KeyError:
            pass
        del tensor, error, running
        return kept() is None

    with here.synthesis():
        assert asyncio.run(call())


@pytest.mark.parametrize("wrap", [otel_tts.synthesis("m", text_argument="text"), otel_tts.stage("vocoder")])
def test_a_closure_is_kept_no_longer_than_by_the_application(
    world: Any, no_collector: None, wrap: Callable[..., Any]
) -> None:
    """It may hold a model that is to be unloaded."""
    here, tensor = world(), Tensor()
    kept = weakref.ref(tensor)

    def closure(text: str, *, held: Tensor = tensor) -> str:
        return text

    with here.synthesis():
        assert wrap(closure)("hello") == "hello"
    del closure, tensor
    here.drain()
    assert kept() is None
