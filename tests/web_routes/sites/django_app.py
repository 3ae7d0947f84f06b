# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from typing import Any

from speaking import WAYS

SECRET_KEY = "x"
ROOT_URLCONF = "django_app"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
MIDDLEWARE: list[str] = []
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app")


def answer(request: Any, way: str, said: str) -> Any:
    from django.http import HttpResponse

    return HttpResponse(WAYS[way](said), content_type="audio/wav")


def __getattr__(name: str) -> Any:
    """As settings the module is imported before Django is ready, as a program's module after."""
    if name == "urlpatterns":
        from django.urls import path

        return [path("<str:way>/<str:said>", answer)]
    raise AttributeError(name)
