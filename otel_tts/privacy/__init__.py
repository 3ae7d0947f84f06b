# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing that is spoken leaves: what is allowed, the policy, the gate before each exporter, the canary in it."""
