# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""A watcher beside a service: probes it, and heals it by the rules of docs/watch.md."""
