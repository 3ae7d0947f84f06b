# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The privacy gate of the providers made here: made and tested before there is anything that could export."""

from __future__ import annotations

import logging
from typing import Any

from otel_tts.otel_private.pipeline import SIGNALS
from otel_tts.settings import Settings

_logger = logging.getLogger("otel_tts")


class Gating:
    """`stands` says whether exporters may be made at all, `state` the same for the start line.

    With `the_sdks` it is tested with the encoders of the SDK's exporters too.
    """

    def __init__(self, settings: Settings, the_sdks: bool = False) -> None:
        self.stands, self.state = False, "closed"
        try:
            self._prepare(settings, the_sdks)
        except Exception as error:
            _logger.error(
                "otel-tts: the privacy gate cannot be made: %s. Nothing is exported, since it might carry what was "
                "said; the service is not affected",
                type(error).__name__, exc_info=_logger.isEnabledFor(logging.DEBUG),
            )  # fmt: skip

    def _prepare(self, settings: Settings, the_sdks: bool) -> None:
        from otel_tts.privacy import canary
        from otel_tts.privacy.policy import Policy

        self._policy = Policy.from_settings(settings)
        if (reason := canary.check(self._policy, the_sdks=the_sdks)) is not None:
            canary.refuse(self._policy, reason)
        self.stands, self.state = True, "on(canary ok)" if reason is None else "refusing"

    def close(self, signal: str, provider: Any) -> None:
        """Put the gate before every exporter of `provider`. Raises RuntimeError where one stays open."""
        from otel_tts.otel_private import providers
        from otel_tts.privacy import gate

        traces, metrics, logs = (provider if signal == s else None for s in SIGNALS)
        gate.install(traces, metrics, logs, self._policy)
        if (bare := gate.ungated(traces, metrics, logs)) or providers.is_opaque(provider):
            raise RuntimeError(f"it cannot be put before {', '.join(bare) or type(provider).__name__}")

    def withheld(self) -> tuple[str, ...]:
        """Return the names of what of the resource does not leave."""
        return tuple(self._policy.dropped_resource_keys()) if self.stands else ()
