# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""One register of what has to be done around a fork: hold before it, release in the parent, renew in the child.

What is registered at fork in Python cannot be taken back, so it is done once; an object's methods are called while it
lives. Duties hold in the reverse order in which they came, release and renew in that order.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Final, NamedTuple

from otel_tts.guard import contain

Call = Callable[[], object]


class _Duty(NamedTuple):
    place: str
    hold: Call | None
    release: Call | None
    renew: Call | None


_duties: Final[list[_Duty]] = []
_known = False


def register(place: str, *, hold: Call | None = None, release: Call | None = None, renew: Call | None = None) -> None:
    """Call these around each fork from now on: functions, or methods while their object lives.

    `place` names them where one fails. Nothing on platforms that do not fork.
    """
    global _known
    if not hasattr(os, "register_at_fork"):
        return
    if not _known:
        _known = True
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_renew)
    _duties[:] = [duty for duty in _duties if not _is_over(duty)]
    _duties.append(_Duty(place, _weakly(hold), _weakly(release), _weakly(renew)))


def _hold() -> None:
    for duty in reversed(_duties):
        if duty.hold is not None:
            contain(duty.place, duty.hold)


def _release() -> None:
    for duty in _duties:
        if duty.release is not None:
            contain(duty.place, duty.release)


def _renew() -> None:
    for duty in _duties:
        if duty.renew is not None:
            contain(duty.place, duty.renew)


class _Weak:
    """A method that does nothing once its object is gone."""

    def __init__(self, method: Call) -> None:
        self._method = weakref.WeakMethod(method)  # pyright: ignore[reportArgumentType]

    def __call__(self) -> object:
        alive = self._method()
        return alive() if alive is not None else None

    def is_over(self) -> bool:
        return self._method() is None


def _weakly(call: Call | None) -> Call | None:
    return _Weak(call) if hasattr(call, "__self__") and call is not None else call


def _is_over(duty: _Duty) -> bool:
    calls = [call for call in duty[1:] if call is not None]
    return bool(calls) and all(isinstance(call, _Weak) and call.is_over() for call in calls)
