# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks for stages: the host's, events on the device, and a synchronising one.

A stage always carries the host's times `t0` and `t1` (perf_counter_ns). A clock adds what only it can know: marks at
the stage's ends, and after the request the device's times. None stands for the host clock alone: it needs no marks.
"""
