# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The time zone that days are of: one that is named, else this machine's."""

from __future__ import annotations

import os
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from otel_tts.trouble import WrongUse

_LINK = Path("/etc/localtime")


def zone_of(name: str | None) -> tzinfo:
    """The zone of a name as in Asia/Shanghai, without one this machine's. Raises WrongUse for a name that is none."""
    if name is None:
        return _here()
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise WrongUse(f"{name!r} is no time zone that is known here: write it as in Asia/Shanghai, or UTC.")


def _here() -> tzinfo:
    """This machine's zone, with its summer time where it has a name; else its present distance from UTC."""
    name = os.environ.get("TZ") or os.path.realpath(_LINK).partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name.removeprefix(":"))
    except (ValueError, OSError, KeyError):
        zone = datetime.now().astimezone().tzinfo
        assert zone is not None
        return zone
