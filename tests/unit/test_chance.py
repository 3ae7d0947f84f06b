# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random

import pytest

from otel_tts import chance
from otel_tts.recording import request


def test_a_seed_of_the_application_gives_no_request_the_id_of_another() -> None:
    made: set[str] = set()
    for _ in range(3):
        random.seed(1)
        made.add(request.new_id())
    assert len(made) == 3


def test_the_applications_own_numbers_stay_what_they_are() -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    request.new_id()
    assert random.random() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
def test_a_forked_child_draws_numbers_of_its_own() -> None:
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, f"{chance.bits(128):x}".encode())
        os._exit(0)
    os.close(write)
    mine = {chance.bits(128) for _ in range(10)}
    with os.fdopen(read) as pipe:
        theirs = int(pipe.read(), 16)
    os.waitpid(child, 0)
    assert theirs not in mine
