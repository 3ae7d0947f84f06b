# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Holds tables against the engines' source: is every callable, parameter and attribute that they name there?"""
