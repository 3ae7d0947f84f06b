#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# gradio_client 2.7.2 (with gradio 6.31.0) and a job that is given up at once: Job.cancel() right after submit().
#
# The client asks the server to end the job by its event id, which it learns from the answer to handing it in. Until that
# answer was read the id is None, and the request to end says just that: it ends nothing, its answer is looked at by
# nobody. cancel() returns True and status() says CANCELLED all the same, while the server, here a generator of 20 steps,
# runs to the end. A second later the very same call ends it. Expected: the cancellation is sent once the id is known, or
# cancel() returns False. A page that speaks pays for the whole text for a listener who has long left.
#
# Seen: at once: known=no cancel=True status=CANCELLED steps=20; later: known=yes cancel=True status=CANCELLED steps<20
#
# Exits with 0 while that is so, with 1 once it has changed, with 2 where the packages cannot be had.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gradio==6.31.0 gradio_client==2.7.2 || exit 2
cat > "$folder/try.py" <<'PYTHON'
import sys
import time

import gradio
from gradio_client import Client

STEPS = 20
taken = []


def speak(text):
    for step in range(STEPS):
        taken.append(step)
        time.sleep(0.2)
        yield f"{text} {step}"


page = gradio.Interface(speak, "text", "text", api_name="speak")
page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
client = Client(page.local_url, verbose=False)


def give_up(steps):
    """Cancel a job once it has taken so many steps; return what was seen of it when it stood still."""
    taken.clear()
    job = client.submit("x", api_name="/speak")
    while len(taken) < steps:
        time.sleep(0.05)
    known = "yes" if job.communicator.event_id else "no"
    said = job.cancel()
    before = -1
    while len(taken) != before or not taken:
        before = len(taken)
        time.sleep(2)
    return f"known={known} cancel={said} status={job.status().code.name} steps", len(taken)


at_once, all_of_them = give_up(0)
later, some = give_up(5)
seen = f"at once: {at_once}={all_of_them}; later: {later}{'<' if some < STEPS else '='}{STEPS}"
print("Seen:", seen)
same = "cancel=True status=CANCELLED steps"
page.close()
sys.exit(seen != f"at once: known=no {same}={STEPS}; later: known=yes {same}<{STEPS}")
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
