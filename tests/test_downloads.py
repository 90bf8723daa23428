"""Downloads over a bad line and from servers that lie."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mirror import Mirror, serve
from voicebot import downloads
from voicebot.downloads import Expected, Patience, fetch
from voicebot.errors import DownloadError

BODY = random.Random(1).randbytes(1_500_000)
KNOWN = Expected(len(BODY), "sha256", hashlib.sha256(BODY).hexdigest())
QUICK = Patience(attempts=3, pause_seconds=0.01, connect_seconds=2, silence_seconds=2)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve(Mirror({"model.zip": BODY})) as running:
        yield running


def quiet(done: int, total: int | None) -> None:
    pass


def test_fetches_and_reports_progress(mirror: Mirror, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, lambda d, t: seen.append((d, t)), QUICK)
    assert (tmp_path / "m").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_cut_connection_is_continued_and_not_begun_anew(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_after = [400_000, 500_000]
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY
    asked = [span for _, span in mirror.requests]
    assert asked[0] is None
    starts = [int(span.removeprefix("bytes=").rstrip("-")) for span in asked[1:] if span]
    assert len(starts) == 2
    assert 0 < starts[0] <= 400_000 < starts[1] <= 900_000


def test_a_later_run_goes_on_where_the_first_gave_up(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_after = [600_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="what has come so far is kept"):
        fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert not (tmp_path / "m").exists()
    mirror.requests.clear()
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY
    assert mirror.requests[0][1] is not None


def test_a_server_that_ignores_ranges_is_read_from_the_start(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.cut_after, mirror.ranges = [700_000], False
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY


def test_without_a_validator_nothing_is_continued(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_after, mirror.etags = [700_000], False
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY
    assert [span for _, span in mirror.requests] == [None, None]


def test_another_file_by_now_is_not_joined_to_the_old_one(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_after = [600_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch(mirror.url + "model.zip", tmp_path / "m", Expected(), quiet, QUICK)
    mirror.files["model.zip"] = BODY[::-1]
    fetch(mirror.url + "model.zip", tmp_path / "m", Expected(), quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY[::-1]


def test_a_partial_of_another_address_is_not_continued(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["other.zip"] = BODY[::-1]
    mirror.cut_after = [600_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        fetch(mirror.url + "other.zip", tmp_path / "m", Expected(), quiet, QUICK)
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY


@pytest.mark.parametrize("announced", [len(BODY) - 10, len(BODY) + 10])
def test_a_lie_about_the_size_is_refused(mirror: Mirror, tmp_path: Path, announced: int) -> None:
    mirror.announce = announced
    with pytest.raises(DownloadError, match=f"announces {announced} bytes instead of {len(BODY)}"):
        fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert not (tmp_path / "m").exists()


def test_an_announcement_that_never_comes_true_ends(mirror: Mirror, tmp_path: Path) -> None:
    mirror.announce = len(BODY) + 10
    with pytest.raises(DownloadError, match="check the connection"):
        fetch(mirror.url + "model.zip", tmp_path / "m", Expected(), quiet, QUICK)


def test_a_wrong_file_of_the_right_size_is_refused_and_not_kept(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.files["model.zip"] = BODY[:-1] + b"?"
    with pytest.raises(DownloadError, match="SHA256 is"):
        fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "m.part").exists()


def test_a_busy_server_is_asked_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.statuses = [503, 500]
    fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert (tmp_path / "m").read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(mirror: Mirror, tmp_path: Path) -> None:
    mirror.statuses = [503] * 9
    with pytest.raises(DownloadError, match="HTTP 503"):
        fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert len(mirror.requests) == QUICK.attempts


def test_a_missing_file_is_asked_for_once(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch(mirror.url + "nothing.zip", tmp_path / "m", KNOWN, quiet, QUICK)
    assert len(mirror.requests) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/x.zip", "127.0.0.1:9"),
        ("gopher://example.org/x.zip", "check the address"),
        ("no/such/file.zip", "no such file"),
    ],
)
def test_an_unreachable_source_is_named(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(DownloadError, match=says):
        fetch(url, tmp_path / "m", Expected(), quiet, QUICK)


def test_a_local_file_is_copied_and_checked(tmp_path: Path) -> None:
    (tmp_path / "given.zip").write_bytes(BODY)
    fetch(str(tmp_path / "given.zip"), tmp_path / "m", KNOWN, quiet)
    assert (tmp_path / "m").read_bytes() == BODY
    (tmp_path / "given.zip").write_bytes(BODY[1:])
    with pytest.raises(DownloadError, match=f"{len(BODY) - 1} bytes instead of"):
        fetch(f"file://{tmp_path / 'given.zip'}", tmp_path / "m", KNOWN, quiet)


def test_too_little_space_is_said_before_anything_is_fetched(
    mirror: Mirror, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="bytes free"):
        fetch(mirror.url + "model.zip", tmp_path / "m", Expected(2**60), quiet, QUICK)
    assert mirror.requests == []


def test_a_disk_that_fills_up_is_named(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_note_state", full)
    with pytest.raises(DownloadError, match=r"the disk is full \(free some space"):
        fetch(mirror.url + "model.zip", tmp_path / "m", KNOWN, quiet, QUICK)
