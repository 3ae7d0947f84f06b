# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""What only the device knows: its own time of a stage, memory, energy, health.

Nothing in here initialises CUDA, synchronises a stream (but the clock that is asked to), or imports torch: it is looked
up among the modules that the application has imported.
"""
