# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Calls after a module's import, and after each later one: hot reload, or an engine that was dropped from sys.modules.

wrapt forgets a hook once it has run. To see the next import, the hook is put back where wrapt's finder looks: the one
private name of wrapt that is used, pinned by tests/unit/instrumentation/test_reimport.py.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import wrapt

from otel_tts.guard import contain


def after_each_import(module: str, call: Callable[[Any, bool], bool]) -> None:
    """Call `call` with the module after its import, now where it is imported, and whether it was called before.

    It is called again after the next import while it returns True, and cannot break one.
    """
    called = False

    def look(loaded: Any) -> None:
        nonlocal called
        again, called = called, True
        if call(loaded, again):
            _await_the_next(module, run)

    def run(loaded: Any) -> None:
        contain("import", look, loaded)

    wrapt.register_post_import_hook(run, module)


def _await_the_next(module: str, run: Callable[[Any], None]) -> None:
    waiting: Any = getattr(import_module("wrapt.importer"), "_post_import_hooks", None)
    if waiting is not None:
        waiting.setdefault(module, []).append(run)
