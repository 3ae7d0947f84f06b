#!/usr/bin/env bash
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
#
# transformprocessor v0.158.0 (opentelemetry-collector-contrib), a plain list under trace_statements.
#
# Expected: each statement is applied to what its path names, so a statement about spans to every span.
# Seen: the list is run in one context, the lowest that any of its paths names. Beside one statement about span events,
# those about spans, scopes and resources are run once for each event: a span without events, and a resource that has
# only such spans, are left as they came, and nothing is logged. Written as one group for each context it is as expected.
# Most spans have no events, so a list that was tried on a span with one seems to work.
#
# Needs Go 1.25 or newer. Ends with 0 while it is so.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'GO'
module finding

go 1.25
GO
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
)

var flat = []any{
	`set(resource.attributes["seen"], true)`,
	`set(span.attributes["seen"], true)`,
	`set(spanevent.attributes["seen"], true)`,
}
var grouped = []any{
	map[string]any{"context": "resource", "statements": flat[0:1]},
	map[string]any{"context": "span", "statements": flat[1:2]},
	map[string]any{"context": "spanevent", "statements": flat[2:3]},
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(statements []any, events int) string {
	factory := transformprocessor.NewFactory()
	config := factory.CreateDefaultConfig()
	must(confmap.NewFromStringMap(map[string]any{"trace_statements": statements}).Unmarshal(config))
	sink := new(consumertest.TracesSink)
	processor, err := factory.CreateTraces(context.Background(), processortest.NewNopSettings(factory.Type()), config, sink)
	must(err)
	traces := ptrace.NewTraces()
	span := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	for range events {
		span.Events().AppendEmpty()
	}
	must(processor.ConsumeTraces(context.Background(), traces))
	left := sink.AllTraces()[0].ResourceSpans().At(0)
	_, resourceSeen := left.Resource().Attributes().Get("seen")
	_, spanSeen := left.ScopeSpans().At(0).Spans().At(0).Attributes().Get("seen")
	return fmt.Sprintf("resource %t, span %t", resourceSeen, spanSeen)
}

func main() {
	fmt.Println("flat, one event:    ", run(flat, 1))
	fmt.Println("flat, no event:     ", run(flat, 0))
	fmt.Println("grouped, no event:  ", run(grouped, 0))
}
GO
export GOFLAGS=-mod=mod GOWORK=off
go get github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor@v0.158.0 \
  go.opentelemetry.io/collector/consumer/consumertest@v0.158.0 \
  go.opentelemetry.io/collector/processor/processortest@v0.158.0 >get.log 2>&1 || { cat get.log; exit 1; }
go run . | tee seen
diff seen - <<'SEEN'
flat, one event:     resource true, span true
flat, no event:      resource false, span false
grouped, no event:   resource true, span true
SEEN
echo "as described"
