# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Audio in memory: arrays of every kind, what is measured of them, and how a player would hear them come."""
