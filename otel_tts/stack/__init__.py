# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The backends, natively: Collector, Jaeger, VictoriaLogs, Prometheus and Alertmanager, built from Go modules.

`servers` is the table of what they are; `build` compiles them, `render` writes the two files that cannot read their
environment, `run` starts and stops them. Nothing here is imported by a service that speaks.
"""
