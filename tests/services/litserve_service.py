# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A LitServe application: ``litserve_service.py PORT``."""

from __future__ import annotations

import sys

import litserve
from speech import say, stumble


class Speech(litserve.LitAPI):
    def setup(self, device: str) -> None:
        pass

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, text: str) -> int:
        if text == "broken":
            stumble(text)
        return int(say(text).size)

    def encode_response(self, output: int) -> dict[str, int]:
        return {"samples": output}


if __name__ == "__main__":
    server = litserve.LitServer(Speech(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
