"""Clients of the platform's parts are made often: making one reads no descriptions and no certificates again."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from registry_tui.platform.paths import Home
from registry_tui.platform.ports import choose_ports
from registry_tui.platform.probes import Probe
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, load_secrets


def test_a_process_reads_the_descriptions_of_s3_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = s3_client("s3", "http://127.0.0.1:1", AccessKey("first", "secret"))
    read: list[str] = []
    load = JSONFileLoader.load_file

    def noting(self: JSONFileLoader, path: str) -> Any:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", noting)
    second = s3_client("s3", "http://127.0.0.1:2", AccessKey("second", "secret"), attempts=1)
    assert read == []
    assert {first.meta.endpoint_url, second.meta.endpoint_url} == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
    signed = [client.generate_presigned_url("list_buckets") for client in (first, second)]
    assert "first" in signed[0] and "second" in signed[1]


def test_asking_the_parts_reads_no_certificates(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(short_path / "h")
    home.create()

    def refuse(*_: Any, **__: Any) -> ssl.SSLContext:
        raise AssertionError("certificates were read")

    monkeypatch.setattr(ssl, "create_default_context", refuse)
    Probe(home, choose_ports(home), load_secrets(home)).close()
