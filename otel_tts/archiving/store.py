# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0
"""Where day files are kept for long: a bucket (S3, OSS, COS, OBS) or a folder of another machine, through opendal.

Credentials come from the environment or from what the provider has on the machine, never from the address. What opendal
says of an error has addresses, and answers of the store with key ids, in it: only its kind is repeated.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from otel_tts.commands import installing
from otel_tts.trouble import Trouble, WrongUse

CHUNK: Final = 8 * 1024 * 1024
"""Bytes of one part of an upload."""

_BLOCK: Final = 1024 * 1024

# What opendal calls each, by the variables that the provider's own tools read; S3's chain opendal knows by itself.
_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "s3": {},
    "oss": {
        "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
    },
    "cos": {
        "secret_id": "TENCENTCLOUD_SECRET_ID",
        "secret_key": "TENCENTCLOUD_SECRET_KEY",
        "security_token": "TENCENTCLOUD_SECURITY_TOKEN",
    },
    "obs": {
        "access_key_id": "HUAWEI_CLOUD_ACCESS_KEY_ID",
        "secret_access_key": "HUAWEI_CLOUD_SECRET_ACCESS_KEY",
    },
}
_KINDS: Final = {
    "NotFound": "there is no such bucket",
    "PermissionDenied": "it does not let us in: look at the credentials, and at what they may do in this bucket",
    "ConfigInvalid": "there is no such bucket, or a region, an endpoint or credentials are missing",
    "RateLimited": "it is asked too much",
}


class StoreFails(Trouble):
    """The store did not do what was asked; all is kept here, and the next run goes on."""


@dataclass(frozen=True)
class Stored:
    """An object: its name, bytes, and when the store says that it was written (None where it does not)."""

    name: str
    size: int
    written: datetime | None


class Store:
    """The objects below an address: `s3://BUCKET/PREFIX`, `oss://`, `cos://`, `obs://` or `file:///FOLDER`.

    Raises WrongUse for another address, Trouble where opendal is missing.
    """

    def __init__(
        self, url: str, endpoint: str | None = None, region: str | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in (*_KEYS, "file") or parts.query or parts.fragment or "@" in parts.netloc:
            raise WrongUse(
                "--to is s3://BUCKET/PREFIX, oss://…, cos://…, obs://… or file:///FOLDER, without keys: these come "
                "from the environment (docs/archive.md)."
            )
        if bool(parts.netloc) == (parts.scheme == "file") or (parts.scheme == "file" and len(parts.path) < 2):
            raise WrongUse("--to names a bucket, as in s3://BUCKET/PREFIX, or a folder, as in file:///FOLDER.")
        self.shown = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        try:
            import opendal
            from opendal.layers import RetryLayer, TimeoutLayer  # pyright: ignore[reportMissingModuleSource]
        except ImportError:
            raise Trouble(f"opendal, which uploads, is not installed: {installing('archive')}") from None
        try:
            options = _options(parts.scheme, parts.netloc, parts.path, endpoint, region, environ)
            made = opendal.Operator("fs" if parts.scheme == "file" else parts.scheme, **options)
            self._operator: Any = made.layer(TimeoutLayer(timeout=60, io_timeout=60)).layer(
                RetryLayer(max_times=3, max_delay=2.0)
            )
        except Exception as error:
            raise WrongUse(f"{self.shown} cannot be used: {_why(error)}.") from None

    def put(self, name: str, path: Path) -> None:
        """Upload a file under a name; it is there whole or not at all. Raises StoreFails, OSError."""
        with path.open("rb") as file:
            try:
                with self._operator.open(name, "wb", chunk=CHUNK) as target:
                    while block := file.read(_BLOCK):
                        target.write(block)
            except OSError:
                raise
            except Exception as error:
                raise self._failed("upload", name, error) from None

    def note(self, name: str) -> None:
        """Write a small object that says nothing but that it was written. Raises StoreFails."""
        try:
            self._operator.write(name, b"otel-tts archive was here\n")
        except Exception as error:
            raise self._failed("write", name, error) from None

    def fingerprint(self, name: str) -> tuple[int, str] | None:
        """Bytes and SHA-256 of an object, all of it read back; None where there is none. Raises StoreFails."""
        if self.look(name) is None:
            return None
        digest, size = hashlib.sha256(), 0
        for block in self.read(name):
            digest.update(block)
            size += len(block)
        return size, digest.hexdigest()

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, in blocks. Raises StoreFails."""
        try:
            with self._operator.open(name, "rb", chunk=CHUNK) as file:
                while block := bytes(file.read(_BLOCK)):
                    yield block
        except Exception as error:
            raise self._failed("read", name, error) from None

    def look(self, name: str) -> Stored | None:
        """What is known of an object, None where there is none. Raises StoreFails."""
        try:
            about = self._operator.stat(name)
        except Exception as error:
            if type(error).__name__ == "NotFound":
                return None
            raise self._failed("look at", name, error) from None
        return Stored(name, about.content_length, about.last_modified)

    def names(self) -> list[str]:
        """The names of the objects that are there. Raises StoreFails."""
        try:
            return [str(entry.path) for entry in self._operator.list("/") if not entry.path.endswith("/")]
        except Exception as error:
            raise self._failed("list", "its objects", error) from None

    def delete(self, name: str) -> None:
        """Take an object away. Raises StoreFails."""
        try:
            self._operator.delete(name)
        except Exception as error:
            raise self._failed("delete", name, error) from None

    def _failed(self, what: str, name: str, error: Exception) -> StoreFails:
        return StoreFails(
            f"{self.shown} does not {what} {name}: {_why(error)}. What was not verified is kept; the next run goes on."
        )


def _options(
    scheme: str, bucket: str, path: str, endpoint: str | None, region: str | None, environ: Mapping[str, str]
) -> dict[str, str]:
    if scheme == "file":
        root = unquote(path)
        return {"root": root, "atomic_write_dir": f"{root.rstrip('/')}/.unfinished"}
    keys = {option: environ[name] for option, name in _KEYS[scheme].items() if environ.get(name)}
    options = {"bucket": bucket, "root": path or "/", **keys}
    if endpoint:
        options["endpoint"] = endpoint
    if scheme == "s3":
        options["region"] = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return options


def _why(error: Exception) -> str:
    name = type(error).__name__
    if name in _KINDS:
        return _KINDS[name]
    return "it cannot be reached, or fails" if name in ("Unexpected", "Error") else name
