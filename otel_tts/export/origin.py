# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What stands around spans, log records and metrics in OTLP: who sends (resource), which library made it (scope)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from otel_tts.export.wire import Attributes, enclosed, field, text

_MANY: Final = 256

Group = tuple[Any, Any, Sequence[bytes]]
"""A resource, a scope, and items as whole fields with their tags."""


class Origins:
    """Encodes a batch's outer messages. Resources and scopes are the same few objects for thousands of items."""

    def __init__(self) -> None:
        self._attributes, self._scope_attributes = Attributes(b"\x0a"), Attributes(b"\x1a")
        self._encoded: dict[int, tuple[Any, bytes]] = {}
        # By identity, since a Resource's hash is that of its JSON; the object is kept so that its id stays its own.
        self._equals: dict[int, tuple[Any, Any]] = {}
        self._firsts: dict[Any, Any] = {}

    def wrap_items(self, items: Iterable[tuple[Any, Any, bytes]]) -> tuple[bytes, int]:
        """Return an Export…ServiceRequest of items with their resources and scopes, and how many are in it."""
        groups = self._grouped(items)
        return self.wrap(groups), sum(len(group) for _, _, group in groups)

    def _grouped(self, items: Iterable[tuple[Any, Any, bytes]]) -> Collection[Group]:
        """Put items of equal resources and scopes together, in the order in which these appear first."""
        groups: dict[tuple[int, int], tuple[Any, Any, list[bytes]]] = {}
        before: tuple[Any, Any] | None = None
        group: list[bytes] = []
        for resource, scope, item in items:
            if before is None or resource is not before[0] or scope is not before[1]:
                before = resource, scope
                first = self._first(resource), self._first(scope)
                group = groups.setdefault((id(first[0]), id(first[1])), (*first, []))[2]
            group.append(item)
        return groups.values()

    def wrap(self, groups: Iterable[Group]) -> bytes:
        """Return an Export…ServiceRequest of `groups`."""
        by_resource: dict[int, tuple[Any, list[bytes]]] = {}
        for resource, scope, items in groups:
            parts = by_resource.setdefault(id(resource), (resource, []))[1]
            schema = b"" if scope is None else text(b"\x1a", scope.schema_url)
            parts += enclosed(b"\x12", (self._remember(scope, self._scope), *items, schema))
        out: list[bytes] = []
        for resource, parts in by_resource.values():
            schema = b"" if resource is None else text(b"\x1a", resource.schema_url)
            out += enclosed(b"\x0a", (self._remember(resource, self._resource), *parts, schema))
        return b"".join(out)

    def _first(self, thing: Any) -> Any:
        """Return the first object seen that is equal to `thing`."""
        known = self._equals.get(id(thing))
        if known is None:
            if len(self._equals) >= _MANY:
                self._equals, self._firsts = {}, {}
            try:
                first = self._firsts.setdefault(thing, thing)
            except TypeError:  # a Resource with bytes in it has no hash
                first = thing
            known = self._equals[id(thing)] = (thing, first)
        return known[1]

    def _remember(self, thing: Any, encode: Callable[[Any], bytes]) -> bytes:
        known = self._encoded.get(id(thing))
        if known is None:
            if len(self._encoded) >= _MANY:
                self._encoded.clear()
            known = self._encoded[id(thing)] = (thing, encode(thing))
        return known[1]

    def _resource(self, resource: Any) -> bytes:
        return field(b"\x0a", b"" if resource is None else self._attributes.encode(resource.attributes))

    def _scope(self, scope: Any) -> bytes:
        if scope is None:
            return b"\x0a\x00"
        inner = text(b"\x0a", scope.name) + text(b"\x12", scope.version)
        return field(b"\x0a", inner + self._scope_attributes.encode(scope.attributes))
