# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""``python waiting_client.py PORT``: four requests at once; prints for each its id and the seconds that it took."""

from __future__ import annotations

import http.client
import sys
import threading
import time


def ask(port: int, name: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    began = time.perf_counter()
    connection.request("POST", "/speak", body=b"{}", headers={"x-request-id": name})
    connection.getresponse().read()
    print(name, time.perf_counter() - began, flush=True)


threads = [threading.Thread(target=ask, args=(int(sys.argv[1]), f"waiting-{n}")) for n in range(4)]
for thread in threads:
    thread.start()
    time.sleep(0.05)
for thread in threads:
    thread.join()
