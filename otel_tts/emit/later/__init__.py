# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What is known only after a request's end: a device's times, files that were delivered."""
