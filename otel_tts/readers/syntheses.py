# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Syntheses from the spans of a trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from otel_tts import names
from otel_tts.names import Stage
from otel_tts.readers.model import Span, Synthesis


def of_trace(spans: Iterable[Span], bare: bool = False) -> Iterator[Synthesis]:
    """Yield the syntheses of one trace, in order of start.

    With `bare` also requests that came to none: server spans with a request id, with no synthesis below.
    """
    tree = _Tree(spans)
    made = [span for span in tree.spans if is_synthesis(span)]
    for span in made:
        yield _describe(tree, span)
    if bare:
        reached = {above.span_id for span in made for above in tree.above(span)}
        for span in tree.spans:
            if span.kind == "server" and names.REQUEST_ID in span.attributes and span.span_id not in reached:
                yield Synthesis(span.trace_id, "", span.start, span.end, span.attributes, span.resource, {}, (), span)


def is_synthesis(span: Span) -> bool:
    """Whether `span` is a synthesis, rather than a request or a stage."""
    return span.attributes.get(names.OPERATION_NAME) == names.OPERATION


def stage_of(span: Span) -> str | None:
    """The stage that `span` is, None for another span."""
    if span.name == names.SPAN_QUEUE:
        return Stage.QUEUE
    stage = span.attributes.get(names.STAGE)
    return None if stage is None else str(stage)


class _Tree:
    """Spans of one trace, each once: a span that was sent twice counts as it was when it ended last."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._by_id: dict[str, Span] = {}
        for span in spans:
            known = self._by_id.get(span.span_id)
            if known is None or span.end > known.end:
                self._by_id[span.span_id] = span
        self.spans = sorted(self._by_id.values(), key=lambda span: (span.start, span.span_id))
        self._children: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            self._children[span.parent_id].append(span)

    def above(self, span: Span) -> list[Span]:
        """The spans around `span`, inner ones first. Ends where one was not read, or where they lead in a circle."""
        found: list[Span] = []
        seen = {span.span_id}
        while (parent := self._by_id.get(span.parent_id)) is not None and parent.span_id not in seen:
            seen.add(parent.span_id)
            found.append(parent)
            span = parent
        return found

    def stages(self, synthesis: Span) -> list[Span]:
        """The stages of `synthesis`, nested ones too, and the queue in which it waited before; not those of others."""
        found: list[Span] = []
        seen, waiting = {synthesis.span_id}, [synthesis.span_id]
        while waiting:
            for span in self._children.get(waiting.pop(), ()):
                if span.span_id not in seen and not is_synthesis(span):
                    seen.add(span.span_id)
                    waiting.append(span.span_id)
                    if stage_of(span) is not None:
                        found.append(span)
        if synthesis.parent_id:
            beside = self._children[synthesis.parent_id]
            found += [span for span in beside if span.name == names.SPAN_QUEUE and span.start <= synthesis.start]
        return found


def _describe(tree: _Tree, synthesis: Span) -> Synthesis:
    stages = tree.stages(synthesis)
    by_stage: dict[str, list[Span]] = defaultdict(list)
    for span in stages:
        by_stage[stage_of(span) or ""].append(span)
    devices = {str(span.attributes[names.HW_ID]): None for span in stages if names.HW_ID in span.attributes}
    return Synthesis(
        synthesis.trace_id,
        synthesis.span_id,
        synthesis.start,
        synthesis.end,
        synthesis.attributes,
        synthesis.resource,
        {stage: _seconds(spans) for stage, spans in by_stage.items() if spans},
        tuple(devices),
        (tree.above(synthesis) or [synthesis])[-1],
        _seconds([span for span in by_stage[Stage.QUEUE] if span.end <= synthesis.start]),
    )


def _seconds(spans: Sequence[Span]) -> float:
    """The time in which any of `spans` ran. One that stands for several says itself how long they took."""
    total, until = 0.0, 0
    for span in sorted(spans, key=lambda span: span.start):
        folded, segments = (span.attributes.get(key) for key in (names.STAGE_HOST_DURATION, names.STAGE_SEGMENTS))
        if isinstance(folded, (int, float)) and isinstance(segments, int) and segments > 1:
            total += folded
        elif span.end > (begin := max(span.start, until)):
            total += (span.end - begin) / 1e9
            until = span.end
    return total
