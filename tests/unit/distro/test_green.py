# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Whose threads are to be greenlets is said by a worker's command line alone."""

from __future__ import annotations

import pytest

from otel_tts.distro.green import pool_of


@pytest.mark.parametrize(
    ("line", "pool"),
    [
        ("/usr/bin/python /opt/bin/celery -A app worker -P gevent -c 10", "gevent"),
        ("python -m celery -A app worker --pool=eventlet", "eventlet"),
        ("python -m celery -A app worker --pool gevent", "gevent"),
        ("python -m celery -A app worker", ""),
        ("python -m celery -A app worker -P", ""),
        ("python -m celery -A app beat -P gevent", ""),
        ("python worker -P gevent", ""),
        ("python", ""),
    ],
)
def test_a_workers_command_line_names_its_pool(line: str, pool: str) -> None:
    assert pool_of(line.split()) == pool
