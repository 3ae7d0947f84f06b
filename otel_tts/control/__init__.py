# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The control socket: what the person who runs a service may ask of its process, on this machine only."""
