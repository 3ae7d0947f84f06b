# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Settings, routes and server of a Django site that speaks: ``django_site.py PORT``."""

from __future__ import annotations

import sys
from typing import Any
from wsgiref.simple_server import make_server

import otel_tts

SECRET_KEY = "x"
ROOT_URLCONF = "django_site"
ALLOWED_HOSTS = ["*"]
USE_TZ = True


def speak(request: Any, said: str) -> Any:
    from django.http import HttpResponse
    from opentelemetry import trace

    trace.get_current_span().set_attribute("app.said", said)
    with otel_tts.synthesis("m", engine="e", text=said):
        pass
    return HttpResponse("spoken")


if __name__ == "__main__":
    from django.core.wsgi import get_wsgi_application

    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
else:
    from django.urls import include, path, re_path

    urlpatterns = [
        path("speak/<str:said>/", speak),
        re_path(r"^old/(?P<said>[^/]+)/$", speak),
        path("api/", include([path("v1/<str:said>", speak)])),
    ]
