# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""The devices as torch shows them: streams and events, the allocator, captured graphs."""
