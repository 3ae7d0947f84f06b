# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Celery application whose broker is a folder, and whose processes end after one task."""

from __future__ import annotations

import os

from celery import Celery

root = os.environ["BROKER"]
for name in ("queue", "results"):
    os.makedirs(f"{root}/{name}", exist_ok=True)
app = Celery("speech", broker="filesystem://", backend=f"file://{root}/results")
app.conf.update(
    broker_transport_options={
        "data_folder_in": f"{root}/queue",
        "data_folder_out": f"{root}/queue",
        "control_folder": f"{root}/control",
    },
    worker_max_tasks_per_child=1,
)


@app.task
def speak(text: str) -> int:
    from speech import say

    return int(say(text).size)
