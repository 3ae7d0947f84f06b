# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps our questions to the device out of CUDA graph captures.

While a graph is captured in the default mode (global), one ``cudaEventQuery`` from any thread breaks the capture: see
https://github.com/pytorch/pytorch/pull/104487, where a watchdog did it. So each capture that begins through torch is
counted, process wide, and a capture begins only when nobody is asking. Captures made in C++ are not seen here; those of
the calling thread's stream are seen by `Backend.is_capturing`.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, Final

from otel_tts.guard import contain
from otel_tts.patches import after_import, undo, wrap

_GROUP: Final = "capture"
_PATIENCE_S: Final = 1.0
"""Seconds that a capture waits at most for questions under way, which take microseconds."""


class CaptureGuard:
    """Many may ask at once; a capture waits for them and keeps new ones out."""

    def __init__(self) -> None:
        self.captures: set[Any] = set()
        """Open in this process: weak references to the graphs."""
        self._asking = 0
        # Python may collect an abandoned stream while we hold this, whose end asks again in the same thread.
        self._quiet = threading.Condition(threading.RLock())

    def enter(self) -> bool:
        """Begin to ask; False while a graph is being captured. Pairs with `leave`."""
        with self._quiet:
            if self.captures:
                return False
            self._asking += 1
            return True

    def leave(self) -> None:
        """End what `enter` began."""
        with self._quiet:
            self._asking -= 1
            if not self._asking:
                self._quiet.notify_all()

    def begin(self, graph: Any) -> None:
        """`graph` is about to be captured. A graph that is dropped half way counts no more."""
        with self._quiet:
            self.captures.add(self._key(graph))
            self._quiet.wait_for(lambda: not self._asking, _PATIENCE_S)

    def end(self, graph: Any) -> None:
        """The capture of `graph` is over."""
        self.captures.discard(self._key(graph))

    def _key(self, graph: Any) -> Any:
        return weakref.ref(graph, self.captures.discard)

    def watch(self, graph_class: Any) -> None:
        """Wrap the methods between which `graph_class` captures; ``torch.cuda.graph()`` calls them too."""
        wrap(graph_class, "capture_begin", self._capture_begin, _GROUP)
        wrap(graph_class, "capture_end", self._capture_end, _GROUP)

    def _capture_begin(self, wrapped: Any, graph: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        contain("capture", self.begin, graph)
        try:
            return wrapped(*args, **kwargs)
        except BaseException:
            contain("capture", self.end, graph)
            raise

    def _capture_end(self, wrapped: Any, graph: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return wrapped(*args, **kwargs)
        finally:
            contain("capture", self.end, graph)

    def renew(self) -> None:
        """In the child: the parent's captures and questions are not ours."""
        self.captures, self._asking = set(), 0
        self._quiet = threading.Condition(threading.RLock())


guard: Final = CaptureGuard()
"""The one guard of this process, which all clocks and the hook in torch share."""


def watch_torch() -> None:
    """Watch torch's graphs from its import on."""
    after_import("torch.cuda.graphs", _watch_graphs, _GROUP)


def unwatch_torch() -> None:
    """Leave torch's graphs alone. Only where nobody asks the device any more: a capture would break."""
    undo(_GROUP)


def _watch_graphs(module: Any) -> None:
    guard.watch(module.CUDAGraph)
