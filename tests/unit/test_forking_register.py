# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import os

import pytest

from otel_tts import forking, guard

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point


class Owner:
    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told
        forking.register(f"test.{name}", hold=self.hold, release=self.release, renew=self.renew)

    def hold(self) -> None:
        self.told.append(f"hold {self.name}")

    def release(self) -> None:
        self.told.append(f"release {self.name}")

    def renew(self) -> None:
        self.told.append(f"renew {self.name}")


def fork(told: list[str]) -> list[str]:
    """Return what was told in the child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, "\n".join(told).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said.splitlines()


def test_duties_hold_in_reverse_and_are_released_and_renewed_in_order() -> None:
    told: list[str] = []
    owners = [Owner("a", told), Owner("b", told)]
    child = fork(told)
    assert told == ["hold b", "hold a", "release a", "release b"]
    assert child == ["hold b", "hold a", "renew a", "renew b"]
    assert owners


def test_an_object_that_is_gone_has_no_duties() -> None:
    told: list[str] = []
    Owner("gone", told)
    kept = Owner("kept", told)
    gc.collect()
    assert fork(told) == ["hold kept", "renew kept"] and kept


def test_a_duty_that_fails_is_contained_and_the_others_are_done() -> None:
    told: list[str] = []

    class Failing(Owner):
        def hold(self) -> None:
            raise ValueError

    owners = [Owner("a", told), Failing("b", told)]
    fork(told)
    assert told == ["hold a", "release a", "release b"] and owners
    assert guard.faults["test.b"] == 1
