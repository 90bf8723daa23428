"""Fetching one file over HTTP, as if the line were bad and the server not to be trusted.

A broken transfer goes on where it stopped (``Range`` with ``If-Range``, RFC
9110 sections 13 and 14), in this run or the next one; a server that ignores
ranges or has another file by now makes it begin anew.  No more than the
expected size is ever written, and nothing is taken for whole before its size
and checksum are right.
"""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog

from voicebot.errors import DownloadError
from voicebot.models import digest

Progress = Callable[[int, int | None], None]
"""Takes the bytes so far, and of how many if that is known."""

MAX_BYTES: Final = 8 * 2**30
"""Where nobody says how long a file is, it may be this long."""
_RETRIED: Final = {408, 425, 429, 500, 502, 503, 504}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is fetched."""

    size: int | None = None
    """bytes"""
    algorithm: str = "sha256"
    digest: str | None = None
    """hexadecimal"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a bad line is put up with."""

    attempts: int = 5
    """in a row that bring nothing"""
    pause_seconds: float = 1.0
    """before the second attempt; doubles each time"""
    longest_pause_seconds: float = 30.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    """without a byte, after which the connection counts as broken"""


class _BrokenOffError(Exception):
    """The attempt failed in a way that another one may not."""


def fetch(
    url: str,
    target: Path,
    expected: Expected,
    progress: Progress,
    patience: Patience | None = None,
) -> None:
    """Fetch ``url`` into ``target``.

    Args:
        url: ``http://``, ``https://`` or ``file://``, or a path.
        target: Appears only when it is complete; until then the bytes are in ``target.part``,
            where a later call finds them.
        expected: Size and checksum, as far as known.
        progress: Called at every block.
        patience: How to bear a bad line.

    Raises:
        DownloadError: Not reachable, refused, wrong size or checksum, disk full.
    """
    patience = patience or Patience()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _disk(target.parent, expected.size):
        if "://" not in url or url.startswith("file://"):
            _copy(Path(url.removeprefix("file://")).expanduser(), part, progress)
        else:
            _download(url, part, expected.size, progress, patience)
        check(part, expected, url)
        _state(part).unlink(missing_ok=True)
        part.replace(target)


def check(path: Path, expected: Expected, source: str) -> None:
    """Compare a fetched file with what was expected; a wrong one is deleted.

    Raises:
        DownloadError: Size or checksum differ.
    """
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        path.unlink()
        raise DownloadError(
            f"{source}: {size} bytes instead of {expected.size}", "it is not the file it should be"
        )
    if expected.digest is not None:
        found = digest(path, expected.algorithm)
        if found != expected.digest.lower():
            path.unlink()
            raise DownloadError(
                f"{source}: {expected.algorithm.upper()} is {found} instead of {expected.digest}",
                "try again, or another mirror with --from",
            )


def _download(
    url: str, part: Path, size: int | None, progress: Progress, patience: Patience
) -> None:
    timeout = httpx.Timeout(patience.silence_seconds, connect=patience.connect_seconds)
    pause, failures = patience.pause_seconds, 0
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _attempt(client, url, part, size, progress)
                return
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as err:
                raise DownloadError(f"{url}: {err}", "check the address") from None
            except (_BrokenOffError, httpx.TransportError) as err:
                reason = str(err) or type(err).__name__
                if part.exists() and part.stat().st_size > before:
                    pause, failures = patience.pause_seconds, 0
                failures += 1
                if failures >= patience.attempts:
                    raise DownloadError(
                        f"{url}: {reason}",
                        "check the connection, or name a mirror with --from; "
                        "what has come so far is kept",
                    ) from None
                _log.info("download_interrupted", url=url, reason=reason, again_in=pause)
                time.sleep(pause)
                pause = min(2 * pause, patience.longest_pause_seconds)


def _attempt(
    client: httpx.Client, url: str, part: Path, size: int | None, progress: Progress
) -> None:
    have, validator = _resumable(url, part)
    # Identity: the bytes of the file and not those of a compressed transfer are counted.
    headers = {"Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _RETRIED:
            raise _BrokenOffError(f"HTTP {response.status_code} {response.reason_phrase}")
        if response.status_code == 416:
            part.unlink()
            raise _BrokenOffError("the server has another file than the one begun")
        if response.is_error:
            raise DownloadError(
                f"{url}: HTTP {response.status_code} {response.reason_phrase}",
                "check the address, or name a mirror with --from",
            )
        begin = _content_start(response)
        if begin not in (0, have):
            part.unlink(missing_ok=True)
            raise _BrokenOffError(f"the server sent bytes from {begin} on instead of {have}")
        length = response.headers.get("Content-Length")
        total = begin + int(length) if length is not None and length.isdigit() else None
        if size is not None and total is not None and total != size:
            raise DownloadError(
                f"{url}: the server announces {total} bytes instead of {size}",
                "it is not the file it should be; try another mirror with --from",
            )
        limit = size or total or MAX_BYTES
        _note_state(part, url, response)
        with part.open("r+b" if begin else "wb") as stream:
            stream.seek(begin)
            done = begin
            for block in response.iter_raw(1 << 18):
                done += len(block)
                if done > limit:
                    stream.close()
                    part.unlink()
                    raise DownloadError(
                        f"{url}: more than the {limit} bytes it should have",
                        "it is not the file it should be; try another mirror with --from",
                    )
                stream.write(block)
                progress(done, size or total)
        if size is not None and done < size:
            raise _BrokenOffError(f"the connection ended after {done} of {size} bytes")


def _content_start(response: httpx.Response) -> int:
    """First byte of what the server sends: 0 unless it really continues."""
    if response.status_code != 206:
        return 0
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdigit():
        raise _BrokenOffError("the server sent a part without saying which")
    return int(first)


def _resumable(url: str, part: Path) -> tuple[int, str | None]:
    """Bytes that can be continued, and what tells the server which file they are of."""
    try:
        state = json.loads(_state(part).read_text("utf-8"))
        have = part.stat().st_size
    except (OSError, ValueError):
        return 0, None
    if not isinstance(state, dict) or state.get("url") != url:
        return 0, None
    return have, state.get("validator")


def _note_state(part: Path, url: str, response: httpx.Response) -> None:
    etag = response.headers.get("ETag", "")
    # A weak validator does not promise the same bytes.
    validator = etag if etag and not etag.startswith("W/") else None
    validator = validator or response.headers.get("Last-Modified")
    _state(part).write_text(json.dumps({"url": url, "validator": validator}), "utf-8")


def _state(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _copy(source: Path, part: Path, progress: Progress) -> None:
    if not source.is_file():
        raise DownloadError(f"{source}: no such file", "give a URL or the path of a file")
    total, done = source.stat().st_size, 0
    with source.open("rb") as reader, part.open("wb") as writer:
        while block := reader.read(1 << 20):
            writer.write(block)
            done += len(block)
            progress(done, total)


@contextmanager
def _disk(folder: Path, size: int | None) -> Iterator[None]:
    """Turn a full or unwritable disk, now or later, into a plain error."""
    free = shutil.disk_usage(folder).free
    mend = "free some space, or set VOICEBOT_MODELS to a folder with more"
    if size is not None and free < size:
        raise DownloadError(f"{folder}: {free} bytes free, {size} needed", mend)
    try:
        yield
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(f"{folder}: the disk is full", mend) from None
        if isinstance(err, PermissionError):
            raise DownloadError(
                f"{err.filename or folder}: no permission",
                "set VOICEBOT_MODELS to a folder of your own",
            ) from None
        raise
