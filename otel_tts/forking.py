# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What has to be done around a fork: hold before it, release in the parent, renew in the child.

Each is registered with Python by itself, so that its turn among the SDK's own duties is the one in which it came: what
is made after a provider is renewed after it. Python takes no registration back, so methods are called while their
object lives. Before a fork the last comes first.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

from otel_tts.guard import contain

Call = Callable[[], object]


def register(place: str, *, hold: Call | None = None, release: Call | None = None, renew: Call | None = None) -> None:
    """Call these around each fork from now on: functions, or methods while their object lives.

    `place` names them where one fails. Nothing on platforms that do not fork.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_duty(place, hold), after_in_parent=_duty(place, release), after_in_child=_duty(place, renew)
        )


def _duty(place: str, call: Call | None) -> Callable[[], None]:
    find = _weakly(call)

    def do() -> None:
        if (alive := find()) is not None:
            contain(place, alive)

    return do


def _weakly(call: Call | None) -> Callable[[], Call | None]:
    """Return what gives the call: None once the object of a method is gone."""
    return weakref.WeakMethod(call) if hasattr(call, "__self__") and call is not None else lambda: call  # pyright: ignore[reportArgumentType, reportReturnType]
