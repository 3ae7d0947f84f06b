# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
