# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver tells through NVML, on a thread of its own, and whose energy it was."""
