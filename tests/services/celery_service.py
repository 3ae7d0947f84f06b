# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A Celery application. Its broker is a folder, unless BROKER is a URL; KEPT tasks end a process of the pool."""

from __future__ import annotations

import os

from celery import Celery

root = os.environ["BROKER"]
if "://" in root:
    app = Celery("speech", broker=root, backend=root)
else:
    for name in ("queue", "results"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    app = Celery("speech", broker="filesystem://", backend=f"file://{root}/results")
    app.conf.broker_transport_options = {
        "data_folder_in": f"{root}/queue",
        "data_folder_out": f"{root}/queue",
        "control_folder": f"{root}/control",
    }
app.conf.worker_max_tasks_per_child = int(os.environ.get("KEPT", "1"))


@app.task
def speak(text: str) -> int:
    from speech import say

    return int(say(text).size)


@app.task
def fail(text: str) -> None:
    from speech import stumble

    stumble(text)


@app.task(bind=True, max_retries=2)
def try_again(self, text: str) -> int:
    if not self.request.retries:
        raise self.retry(exc=ConnectionError(text), countdown=0)
    return speak(text)
