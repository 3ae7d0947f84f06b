# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Hooks in libraries that are no engines: servers, queues, threads, loggers, runtimes and encoders."""
