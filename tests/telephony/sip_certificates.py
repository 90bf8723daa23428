"""Certificates for the TLS tests, made by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificate:
    """PEM files; ``ca`` signed the other and is its own authority."""

    certificate: str
    key: str
    ca: str


def certificate(folder: Path, name: str) -> Certificate:
    """A certificate for localhost and 127.0.0.1, signed by an authority of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    folder = folder / name
    folder.mkdir()
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")

    def openssl(*words: str) -> None:
        subprocess.run(("openssl", *words), cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name} CA")
    openssl("req", *new, "-keyout", "key.pem", "-out", "request", "-subj", f"/CN={name}")
    openssl(
        *("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
        *("-set_serial", "1", "-extfile", "extensions", "-out", "cert.pem"),
    )
    paths = (str(folder / file) for file in ("cert.pem", "key.pem", "ca.pem"))
    return Certificate(*paths)
