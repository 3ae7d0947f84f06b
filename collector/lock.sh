#!/bin/sh
# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0

# Writes every module's go.mod and go.sum anew, after a version or builder.yaml was changed. Builds take them as they are.
set -eu
cd "$(dirname "$0")"
collector=$PWD
export CGO_ENABLED=0 GOFLAGS= GOWORK=off

for module in tools/*/; do
    (cd "$module" && go list -mod=mod -deps tool >/dev/null)
done

generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
(cd tools/otelcol && go tool builder --config "$collector/builder.yaml" --skip-compilation --output-path "$generated")
mkdir -p tools/otelcol/lock
cp "$generated/go.mod" "$generated/go.sum" tools/otelcol/lock/
