# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What can be opened with ``with`` can be with ``async with``: nothing is awaited at either end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class Block:
    """Mixed into a context manager, whose ends serve both kinds of ``with``."""

    __slots__ = ()

    async def __aenter__(self: AbstractContextManager[T]) -> T:
        return self.__enter__()

    async def __aexit__(
        self: AbstractContextManager[object],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)
