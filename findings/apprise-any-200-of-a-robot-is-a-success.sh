#!/bin/sh
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# apprise 2.3.0: any status 200 of a DingTalk or WeChat Work robot is a success.
#
# These robots always answer with status 200 and say in the body's errcode how it went (DingTalk: 310000 for a wrong
# signature or keyword, 130101 for too many a minute; WeChat Work: 93000 for a wrong key, 45009 for too many). apprise's
# plugins for them look at the status only: notify() is true, nothing is logged, and the alert is gone. (Its plugins
# for Feishu and for WeChat Work's applications read the body.) So otel-tts sends to these two itself.
#
# Seen on 2026-11-30, Python 3.11: True for each refusal. Ends with 1 when that changes.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apprise==2.3.0

"$folder/venv/bin/python" - <<'PYTHON'
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import apprise
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.wecombot import NotifyWeComBot

said, asked = [], []


class Robot(BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"errcode": code, "errmsg": "refused"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger("apprise").addHandler(Keep(logging.WARNING))
server = HTTPServer(("127.0.0.1", 0), Robot)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
NotifyDingTalk.notify_url = base + "/robot/send?access_token={token}"
NotifyWeComBot.notify_url = base + "/cgi-bin/webhook/send?key={key}"
for plugin in (NotifyDingTalk, NotifyWeComBot):
    plugin.request_rate_per_sec = 0
for url, code in (
    ("dingtalk://" + "a1b2" * 16, 310000),
    ("dingtalk://" + "a1b2" * 16, 130101),
    ("wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", 93000),
    ("wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", 45009),
):
    asked.clear()
    taken = bool(apprise.Apprise(url).notify("7 % of the requests fail"))
    print(f"{url.partition(':')[0]}, errcode {code}: notify() is {taken}, {len(asked)} request, logged {said}")
    if (taken, len(asked), said) != (True, 1, []):
        sys.exit("changed: a refusal is no success any more")
PYTHON
