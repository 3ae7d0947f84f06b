# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Prometheus's and Alertmanager's files, from one template each, wherever they run, and the page that Jaeger shows.

These two cannot read addresses from their environment; the Collector and the stores can, and read their one file as it
is. The containers' versions are kept in collector/compose/: `python -m otel_tts.stack.render` writes them anew.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from otel_tts.stack import places, servers
from otel_tts.trouble import WrongUse

TEMPLATES = ("prometheus.yml", "alertmanager.yml")
PAGE = "index.html"

# Where a relay to people would listen: port 9099 of this machine, until another is named.
WEBHOOK_AT = "127.0.0.1:9099"
WEBHOOK = f"http://{WEBHOOK_AT}/alertmanager"

# Where Alertmanager is to send by itself, by the variables that say so; with a default: it may be left out.
DIRECT: Mapping[str, tuple[str, str | None]] = {
    "wechat_corp_id": ("STACK_WECHAT_CORP_ID", None),
    "wechat_agent_id": ("STACK_WECHAT_AGENT_ID", None),
    "wechat_secret_file": ("STACK_WECHAT_SECRET_FILE", None),
    "wechat_to": ("STACK_WECHAT_TO", "@all"),
    "wechat_url": ("STACK_WECHAT_URL", "https://qyapi.weixin.qq.com/cgi-bin/"),
    "mail_smarthost": ("STACK_MAIL_SMARTHOST", None),
    "mail_from": ("STACK_MAIL_FROM", None),
    "mail_to": ("STACK_MAIL_TO", None),
    "mail_user": ("STACK_MAIL_USER", ""),
    "mail_password_file": ("STACK_MAIL_PASSWORD_FILE", ""),
    "mail_tls": ("STACK_MAIL_TLS", "true"),
}
# What stands there while alerts go to a relay: Alertmanager checks the form of what it does not use too.
UNUSED: Mapping[str, str] = {
    "wechat_corp_id": "none",
    "wechat_agent_id": "0",
    "wechat_secret_file": "/dev/null",
    "mail_smarthost": "127.0.0.1:25",
    "mail_from": "nobody@localhost",
    "mail_to": "nobody@localhost",
}
LANGUAGES = ("en", "zh")

# What the templates ask for, where each server is a container with its name as host name. The relay runs on the host.
COMPOSE: Mapping[str, str] = {
    "rules": "/etc/otel-tts/alerts/*.yml",
    "scrape": "/etc/otel-tts/scrape/*.json",
    "collector_metrics": "otelcol:8888",
    "prometheus": "prometheus:9090",
    "trace_store": "tempo:3200",
    "trace_store_name": "tempo",
    "log_store": "loki:3100",
    "log_store_name": "loki",
    "alertmanager": "alertmanager:9093",
    "webhook": "http://host.docker.internal:9099/alertmanager",
    "token_file": "/etc/otel-tts/relay.token",
    "relay": "host.docker.internal:9099",
    "templates": "/etc/otel-tts/templates/*.tmpl",
    "way": "relay",
    "language": "en",
    **{key: UNUSED.get(key, default or "") for key, (_, default) in DIRECT.items()},
}


def native(
    ports: Mapping[str, int], scrape: Path, webhook: str = WEBHOOK, environ: Mapping[str, str] = os.environ,
    token_file: Path = Path("/dev/null"),
) -> dict[str, str]:  # fmt: skip
    """What the templates ask for, where all servers run on this machine. Raises WrongUse, see `ways`.

    `token_file` holds the token by which the relay knows Alertmanager.
    """
    at = {name: f"{servers.LOOPBACK}:{number}" for name, number in ports.items()}
    return {
        "rules": places.rules(),
        "scrape": str(scrape / "*.json"),
        "collector_metrics": at["collector_metrics"],
        "prometheus": at["prometheus"],
        "trace_store": at["jaeger_metrics"],
        "trace_store_name": "jaeger",
        "log_store": at["victorialogs"],
        "log_store_name": "victorialogs",
        "alertmanager": at["alertmanager"],
        "webhook": webhook,
        "token_file": str(token_file),
        "relay": urlsplit(webhook).netloc.rpartition("@")[2] or WEBHOOK_AT,
        "templates": str(places.configurations() / "alertmanager" / "*.tmpl"),
        **ways(environ),
    }


def ways(environ: Mapping[str, str]) -> dict[str, str]:
    """How alerts go, by the environment: to a relay, or directly where STACK_ALERTS says so.

    Raises WrongUse for an unknown way or language, and where a variable that the direct way needs is missing.
    """
    way, language = environ.get("STACK_ALERTS", "relay"), environ.get("STACK_ALERTS_LANGUAGE", "en")
    if way not in ("relay", "direct"):
        raise WrongUse(f"STACK_ALERTS={way}: it is relay (a web hook) or direct (WeChat Work and mail).")
    if language not in LANGUAGES:
        raise WrongUse(f"STACK_ALERTS_LANGUAGE={language}: it is {' or '.join(LANGUAGES)}.")
    if environ.get("STACK_MAIL_TLS", "true") not in ("true", "false"):
        raise WrongUse(f"STACK_MAIL_TLS={environ['STACK_MAIL_TLS']}: it is true or false.")
    values = {key: environ.get(name) or default for key, (name, default) in DIRECT.items()}
    missing = [DIRECT[key][0] for key, value in values.items() if value is None]
    if way == "direct" and missing:
        raise WrongUse(f"STACK_ALERTS=direct needs {', '.join(missing)} too (docs/stack.md).")
    if way == "relay":
        values = {key: UNUSED.get(key, default) for key, (_, default) in DIRECT.items()}
    return {"way": way, "language": language, **{key: value or "" for key, value in values.items()}}


def text(name: str, values: Mapping[str, str]) -> str:
    """The file `name` with `values` filled in, as YAML strings in double quotes."""
    template = string.Template((places.configurations() / f"{name}.template").read_text(encoding="utf-8"))
    return template.substitute({key: _quotable(value) for key, value in values.items()})


def write(folder: Path, values: Mapping[str, str]) -> None:
    """Write both files into `folder`."""
    for name in TEMPLATES:
        _write(folder / name, text(name, values))


def write_page(folder: Path, values: Mapping[str, str]) -> None:
    """Write Jaeger's page into `folder`. Jaeger wants a folder `static` beside it."""
    (folder / "static").mkdir(parents=True, exist_ok=True)
    _write(folder / PAGE, text(PAGE, values))


def _write(path: Path, content: str) -> None:
    """The file appears whole: a server that reloads never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(content, encoding="utf-8")
    os.replace(unfinished, path)


def _quotable(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    write(places.configurations() / "compose", COMPOSE)
