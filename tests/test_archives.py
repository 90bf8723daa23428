"""Zips that strangers made."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from voicebot.archives import Limits, top_folder, unzip
from voicebot.errors import DownloadError


def make(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for name, body in members.items():
            zipped.writestr(name, body)
    return path


def test_unpacks_and_finds_the_top_folder(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"model/am/final.mdl": b"m", "model/README": b"r"})
    unzip(archive, tmp_path / "out")
    assert top_folder(tmp_path / "out") == tmp_path / "out" / "model"
    assert (tmp_path / "out" / "model" / "am" / "final.mdl").read_bytes() == b"m"


def test_takes_only_one_folder_of_it(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.whl", {"pkg/model/x": b"1", "pkg/__init__.py": b"", "other": b""})
    unzip(archive, tmp_path / "out", under="pkg/model")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["x"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "a/../../evil", "/etc/evil", "a\\..\\evil", "C:/evil", "a/b:stream", "..",
        "../../../../../../tmp/evil",
    ],
)  # fmt: skip
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / "a.zip", {"model/ok": b"", name: b"evil"})
    with pytest.raises(DownloadError, match="leads out"):
        unzip(archive, tmp_path / "inner" / "out")
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "inner").exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("model/link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadError, match="link or a special file"):
        unzip(tmp_path / "a.zip", tmp_path / "out")


def test_a_bomb_by_ratio_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"model/zeros": bytes(50_000_000)})
    with pytest.raises(DownloadError, match="zip bomb"):
        unzip(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bomb_by_total_size_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {f"f{i}": bytes(1000) for i in range(20)})
    with pytest.raises(DownloadError, match="20000 bytes when unpacked"):
        unzip(archive, tmp_path / "out", limits=Limits(bytes=10_000))


def test_a_bomb_by_number_is_refused(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {f"f{i}": b"" for i in range(2_001)})
    with pytest.raises(DownloadError, match="2001 files"):
        unzip(archive, tmp_path / "out")


def test_a_size_that_is_lied_about_is_counted_as_it_is_written(tmp_path: Path) -> None:
    body = make(tmp_path / "a.zip", {"model/f": b"x" * 5000}).read_bytes()
    # The central directory says 10 bytes, the data are 5,000.
    at = body.index(b"PK\x01\x02")
    lying = body[: at + 24] + (10).to_bytes(4, "little") + body[at + 28 :]
    (tmp_path / "a.zip").write_bytes(lying)
    with pytest.raises(DownloadError):
        unzip(tmp_path / "a.zip", tmp_path / "out")
    assert sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file()) <= 10


@pytest.mark.parametrize("damage", ["text", "truncated", "flipped", "empty"])
def test_a_damaged_zip_is_said_to_be_so(tmp_path: Path, damage: str) -> None:
    good = make(tmp_path / "a.zip", {"f": bytes(range(256)) * 40}, zipfile.ZIP_STORED).read_bytes()
    bad = {
        "text": b"<html>not found</html>",
        "truncated": good[: len(good) // 2],
        "flipped": good[:2000] + bytes([good[2000] ^ 255]) + good[2001:],
        "empty": b"",
    }[damage]
    (tmp_path / "a.zip").write_bytes(bad)
    with pytest.raises(DownloadError, match=r"a\.zip: damaged, or not a zip"):
        unzip(tmp_path / "a.zip", tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    body = bytearray(make(tmp_path / "a.zip", {"f": b"secret"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(DownloadError, match="encrypted"):
        unzip(tmp_path / "a.zip", tmp_path / "out")


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped, pytest.warns(UserWarning, match="Duplicate"):
        zipped.writestr("f", b"one")
        zipped.writestr("f", b"two")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(DownloadError, match="twice"):
        unzip(tmp_path / "a.zip", tmp_path / "out")
