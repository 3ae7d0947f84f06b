# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Cleans what leaves: spans, log records and metrics, each as a copy that holds only what the policy allows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from otel_tts import guard
from otel_tts.breath import breathing
from otel_tts.privacy.merging import merge
from otel_tts.privacy.policy import Policy

T = TypeVar("T")


_MAX_CACHED: Final = 512


_NO_SCOPE: Final = InstrumentationScope("")


_EMPTY: Final[dict[str, Any]] = {}


class _Origin(NamedTuple):
    """Where a span comes from, as it says and as it may leave."""

    given_scope: InstrumentationScope | None
    given_resource: Resource | None
    name: str
    scope: InstrumentationScope | None
    resource: Resource
    is_clean: bool


_NOWHERE: Final = _Origin(None, None, "", None, Resource({}), False)


class Cleaner:
    """Applies a policy to the SDK's objects. Each method returns the object itself, a clean copy, or None to drop it.

    Resources and scopes are the same objects for thousands of items: they are judged once and remembered.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        # By identity, since a Resource's hash is that of its JSON; the original is kept so that its id stays its own.
        self._seen: dict[int, tuple[Any, Any]] = {}
        self._no_state: TraceState | None = None
        """The last trace state in which nothing was."""
        self._origin = _NOWHERE
        """That of the last span: as a rule it is the next one's."""

    def clean_all(self, items: Sequence[T], clean: Callable[[T], T | None]) -> list[T]:
        """Return what may leave of `items`; nothing where the canary was seen to get through."""
        if self.policy.refusal is not None:
            self.policy.drop(self.policy.refusal, len(items))
            return []
        kept: list[T] = []
        for item in breathing(items):
            try:
                safe = clean(item)
            except Exception as error:
                guard.note_fault("privacy_gate", error)
                self.policy.drop("gate_fault")
                continue
            if safe is not None:
                kept.append(safe)
        return kept

    # --- spans -------------------------------------------------------------------------------------------------------

    def span(self, span: ReadableSpan) -> ReadableSpan:
        """Return `span` as it may leave."""
        policy, origin = self.policy, self._origin
        # Each is read once: on the SDK's spans these are properties, and all spans come through here.
        given, given_name, given_status = span.attributes, span.name, span.status
        given_context, given_parent, events, links = span.context, span.parent, span.events, span.links
        if span.instrumentation_scope is not origin.given_scope or span.resource is not origin.given_resource:
            origin = self._origin = self._judge_origin(span.instrumentation_scope, span.resource)
        attributes = policy.attributes(given, origin.name)  # pyright: ignore[reportArgumentType]
        name = policy.span_name(given_name, span.kind, attributes, origin.name)
        clean_events = self._events(events) if events else None
        clean_links = self._links(links) if links else None
        context, parent = self._context(given_context), self._context(given_parent)
        status = given_status
        if status.description is not None:
            policy.status_description(status.description)
            status = Status(status.status_code)
        if (
            attributes is given
            and name is given_name
            and clean_events is None
            and clean_links is None
            and origin.is_clean
            and context is given_context
            and parent is given_parent
            and status is given_status
        ):
            return span
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=origin.resource,
            attributes=_counted(attributes, given, span.dropped_attributes),
            events=_bounded(clean_events or events, span.dropped_events),
            links=_bounded(clean_links or links, span.dropped_links),
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=origin.scope,
        )

    def _events(self, events: Sequence[Event]) -> list[Event] | None:
        """Return clean events, or None where all are clean."""
        changed = False
        clean: list[Event] = []
        for event in events:
            given = event.attributes or _EMPTY
            name, attributes = self.policy.event(event.name, given)
            if attributes is not given or name is not event.name:
                changed = True
                event = Event(name, _counted(attributes, given, event.dropped_attributes), event.timestamp)
            clean.append(event)
        return clean if changed else None

    def _links(self, links: Sequence[Link]) -> list[Link] | None:
        changed = False
        clean: list[Link] = []
        for link in links:
            given = link.attributes or _EMPTY
            attributes = self.policy.attributes(given)
            context = self._context(link.context)
            if attributes is not given or context is not link.context:
                changed = True
                link = Link(context, _counted(attributes, given, link.dropped_attributes))  # pyright: ignore[reportArgumentType]
            clean.append(link)
        return clean if changed else None

    def _context(self, context: SpanContext | None) -> SpanContext | None:
        if context is None or (given := context[4]) is self._no_state:
            return context
        if not given:  # as a rule all spans share one, and asking it for its length is a call
            self._no_state = given
            return context
        items = dict(given)
        safe = self.policy.trace_state(items)
        if safe is items:
            return context
        state = TraceState(list(safe.items()))
        return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, state)

    # --- log records -------------------------------------------------------------------------------------------------

    def log(self, record: ReadableLogRecord) -> ReadableLogRecord | None:
        """Return `record` as it may leave, or None."""
        policy, line, scope = self.policy, record.log_record, record.instrumentation_scope
        given = line.attributes or _EMPTY
        judged = policy.log(scope.name if scope is not None else "", line.severity_text, line.body, given)
        if judged is None:
            return None
        body, attributes = judged
        severity, event_name = policy.severity(line.severity_text), policy.event_name(line.event_name)
        safe_scope, resource = self.scope(scope), self.resource(record.resource)
        if (
            body is not line.body
            or attributes is not given
            or severity is not line.severity_text
            or event_name is not line.event_name
            or line.exception is not None
        ):
            line = copy.copy(line)
            line.body, line.severity_text, line.event_name, line.exception = body, severity, event_name, None
            line.attributes = _counted(attributes, given, record.dropped_attributes)
        elif safe_scope is scope and resource is record.resource:
            return record
        return replace(record, log_record=line, instrumentation_scope=safe_scope, resource=resource)

    # --- metrics -----------------------------------------------------------------------------------------------------

    def resource_metrics(self, part: ResourceMetrics) -> ResourceMetrics | None:
        """Return the metrics of a resource as they may leave, or None where nothing is left."""
        resource = self.resource(part.resource)
        schema = self.policy.schema(part.schema_url) or ""
        scopes = self.clean_all(part.scope_metrics, self._scope_metrics)
        if resource is part.resource and schema == part.schema_url and _same(scopes, part.scope_metrics):
            return part
        return ResourceMetrics(resource=resource, scope_metrics=scopes, schema_url=schema) if scopes else None

    def _scope_metrics(self, part: ScopeMetrics) -> ScopeMetrics | None:
        scope = self.scope(part.scope) or _NO_SCOPE
        schema = self.policy.schema(part.schema_url) or ""
        metrics = self.clean_all(part.metrics, lambda metric: self._metric(metric, part.scope.name))
        if scope is part.scope and schema == (part.schema_url or "") and _same(metrics, part.metrics):
            return part
        return ScopeMetrics(scope=scope, metrics=metrics, schema_url=schema) if metrics else None

    def _metric(self, metric: Metric, scope: str) -> Metric | None:
        judged = self.policy.metric(metric.name, metric.unit, metric.description, scope)
        if judged is None:
            return None
        name, unit, description = judged
        data = metric.data
        points = [self._point(point, scope) for point in data.data_points]
        if not _same(points, data.data_points):
            relabelled = any(
                new.attributes is not old.attributes for new, old in zip(points, data.data_points, strict=True)
            )
            data = replace(data, data_points=merge(points, data) if relabelled else points)
        elif unit == metric.unit and description == metric.description:
            return metric
        return Metric(name=name, unit=unit, description=description, data=data)

    def _point(self, point: Any, scope: str) -> Any:
        given = point.attributes or _EMPTY
        labels = self.policy.labels(given, scope)
        exemplars = point.exemplars
        if any(exemplar.filtered_attributes for exemplar in exemplars):
            exemplars = [self._exemplar(exemplar) for exemplar in exemplars]
        elif labels is given:
            return point
        return replace(point, attributes=dict(labels) if labels is not given else point.attributes, exemplars=exemplars)

    def _exemplar(self, exemplar: Any) -> Any:
        if not exemplar.filtered_attributes:
            return exemplar
        self.policy.note_exemplar()
        return replace(exemplar, filtered_attributes={})

    # --- what many items share ---------------------------------------------------------------------------------------

    def resource(self, resource: Resource) -> Resource:
        """Return the resource as it may leave."""
        seen = self._seen.get(id(resource))
        return seen[1] if seen is not None else self._remember(resource, self._clean_resource(resource))

    def scope(self, scope: InstrumentationScope | None) -> InstrumentationScope | None:
        """Return the instrumentation scope as it may leave."""
        if scope is None:
            return None
        seen = self._seen.get(id(scope))
        return seen[1] if seen is not None else self._remember(scope, self._clean_scope(scope))

    def _judge_origin(self, scope: InstrumentationScope | None, resource: Resource) -> _Origin:
        safe_scope, safe = self.scope(scope), self.resource(resource)
        name = scope.name if scope is not None else ""
        return _Origin(scope, resource, name, safe_scope, safe, safe_scope is scope and safe is resource)

    def _remember(self, given: Any, clean: Any) -> Any:
        if len(self._seen) >= _MAX_CACHED:
            self._seen.clear()
        self._seen[id(given)] = (given, clean)
        return clean

    def _clean_resource(self, resource: Resource) -> Resource:
        attributes = self.policy.resource(resource.attributes)
        schema = self.policy.schema(resource.schema_url)
        if attributes is resource.attributes and schema == resource.schema_url:
            return resource
        return Resource(dict(attributes), schema)

    def _clean_scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        given = (scope.name, scope.version, scope.schema_url)
        name, version, schema = self.policy.scope(*given)
        attributes = scope.attributes or _EMPTY
        kept = self.policy.attributes(attributes)
        if (name, version, schema) == given and kept is attributes:
            return scope
        return InstrumentationScope(name, version, schema, dict(kept))


def _counted(kept: Any, given: Any, dropped: int) -> Any:
    """Return `kept`; what was removed joins the count of dropped attributes that OTLP carries."""
    missing = len(given) - len(kept) + dropped
    if not missing:
        return kept
    attributes = BoundedAttributes(attributes=dict(kept))
    attributes.dropped = missing
    return attributes


def _bounded(items: Sequence[Any], dropped: int) -> Sequence[Any]:
    if not dropped:
        return items
    bounded = cast(Any, BoundedList)(None)
    bounded.extend(items)
    bounded.dropped = dropped
    return bounded


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))
