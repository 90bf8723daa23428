"""The page's server, by plain HTTP: what it gives, what it refuses, what it saves."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import soundfile

from tests import browser
from tests.labelling.recordings import write_call
from tests.labelling.test_session import session_on
from voicebot.errors import LabelError, OutputError
from voicebot.labelling import page as page_module
from voicebot.labelling.page import LabelPage
from voicebot.labelling.spans import Label, Span
from voicebot.labelling.store import LabelStore


@dataclass
class Served:
    """A page that is served, and what it told."""

    page: LabelPage
    folder: Path
    notices: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.page.url

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **options)

    def put(self, path: str, body: object) -> httpx.Response:
        return httpx.put(self.url + path, content=json.dumps(body))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_call(tmp_path / "a.wav")
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    notices: list[str] = []
    with (
        session_on(tmp_path) as session,
        LabelPage(session, port=0, notice=notices.append) as page,
    ):
        thread = threading.Thread(target=page.serve)
        thread.start()
        try:
            yield Served(page, tmp_path, notices)
        finally:
            page.stop()
            thread.join()


def test_a_call_is_marked_and_kept(served: Served) -> None:
    calls = served.get("calls").json()
    assert [c["call"] for c in calls["calls"]] == ["a.wav", "broken.wav"]
    assert (calls["rater"], calls["next"]) == ("ann", 0)
    call = served.get("call/0").json()
    assert call["spans"] == [] and call["heard"] == 0.0 and len(call["speech"]) == 2
    assert set(call["outline"]) == {"caller", "agent"}
    body = {
        "spans": [[1.0, 2.5, "angry"], [2.0, 3.0, "unclear"]],
        "heard": 4.0,
        "revision": call["revision"],
    }
    answer = served.put("call/0", body)
    assert answer.status_code == 200 and not answer.json()["done"]
    (kept,) = LabelStore(served.folder / "labels").ratings()
    assert kept.spans == (Span(1, 2, Label.ANGRY), Span(2, 3, Label.UNCLEAR))
    assert kept.heard == 4.0
    again = served.get("call/0").json()
    assert again["revision"] == answer.json()["revision"]
    assert again["spans"] == [[1.0, 2.0, "angry"], [2.0, 3.0, "unclear"]]
    stale = served.put("call/0", body)
    assert stale.status_code == 409 and "changed elsewhere" in stale.json()["what"]


def test_the_sound_whole_and_in_part(served: Served) -> None:
    whole = served.get("audio/0")
    pcm, rate = soundfile.read(io.BytesIO(whole.content), dtype="int16")
    original, original_rate = soundfile.read(served.folder / "a.wav", dtype="int16")
    assert rate == original_rate and (pcm == original).all()
    part = served.get("audio/0", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.content)}"
    rest = served.get("audio/0", headers={"Range": "bytes=200-"})
    assert rest.content == whole.content[200:]
    beyond = served.get("audio/0", headers={"Range": f"bytes={len(whole.content)}-"})
    assert beyond.status_code == 416


def test_without_the_token_there_is_nothing(served: Served) -> None:
    root = served.url[: served.url.index("/", 8) + 1]
    for path in ("", "calls", "x/calls", "%2e%2e/calls", "é/calls"):
        answer = httpx.get(root + path)
        assert (answer.status_code, answer.content) == (404, b"")
    assert httpx.put(root + "x/call/0", content=b"{}").status_code == 404
    assert urlsplit(served.url).hostname == "127.0.0.1"
    assert len(urlsplit(served.url).path.strip("/")) >= 24


def test_the_page_may_load_nothing_from_elsewhere(served: Served) -> None:
    answer = served.get("")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "://" not in answer.text


@pytest.mark.parametrize(
    "path", ["call/7", "call/x", "call/-1", "audio/9999999", "nothing", "../calls"]
)
def test_what_is_not_there(served: Served, path: str) -> None:
    assert served.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"spans": [[2, 1, "angry"]], "heard": 1, "revision": ""},
        {"spans": [[0, 1, "cross"]], "heard": 1, "revision": ""},
        {"spans": [[0, "nan", "angry"]], "heard": 1, "revision": ""},
        {"spans": [], "heard": "long", "revision": ""},
        {"spans": []},
    ],
)
def test_what_the_page_would_not_send(served: Served, body: object) -> None:
    answer = served.put("call/0", body)
    assert answer.status_code == 400 and "cannot be understood" in answer.json()["what"]
    assert httpx.put(served.url + "call/0", content=b"x" * (2**20 + 1)).status_code == 400
    assert not list((served.folder / "labels").rglob("*.json"))


def test_a_broken_call_says_why(served: Served) -> None:
    answer = served.get("call/1")
    assert answer.status_code == 409 and "broken.wav" in answer.json()["what"]
    assert "broken.wav" in served.get("calls").json()["calls"][1]["problem"]


def test_a_full_disk_is_told_and_mended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    call = served.get("call/0").json()
    body = {"spans": [[1, 2, "angry"]], "heard": 2, "revision": call["revision"]}

    def full(store: LabelStore, rating: object) -> None:
        raise OutputError("labels: cannot be written", "make room on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "save", full)
        answer = served.put("call/0", body)
    assert answer.status_code == 507 and answer.json()["mend"] == "make room on the disk"
    assert served.put("call/0", body).status_code == 200


def test_a_closed_page_is_told_once_and_a_reload_is_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "_CLOSED_SECONDS", 3600.0)
    httpx.post(served.url + "closed")
    assert served.page._server.closed_at is not None
    served.get("calls")  # loaded again
    assert served.page._server.closed_at is None
    monkeypatch.setattr(page_module, "_CLOSED_SECONDS", 0.0)
    httpx.post(served.url + "closed")
    deadline = time.monotonic() + 30
    while not served.notices and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    assert len(served.notices) == 1 and "the page was closed" in served.notices[0]


def test_a_fault_of_ours_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_wav", lambda audio: 1 / 0)
    with pytest.raises(httpx.HTTPError):
        served.get("audio/0")
    assert served.notices == [
        "internal error: ZeroDivisionError: division by zero (please report it)"
    ]


def test_a_port_that_is_taken(served: Served) -> None:
    port = urlsplit(served.url).port
    assert port is not None
    with (
        pytest.raises(LabelError, match=f"port {port}: cannot be had") as caught,
        session_on(served.folder) as session,
    ):
        LabelPage(session, port=port, notice=print)
    assert "--port" in caught.value.mend


@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_marking_in_a_browser(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """By mouse and by keys: mark, move an edge, undo, hear, finish; each is saved at once."""
    store = LabelStore(served.folder / "labels")

    def kept() -> tuple[Span, ...]:
        rating = store.load("a.wav", "ann")
        return rating.spans if rating else ()

    def until(page: Any, condition: str) -> None:  # wait_for_function would need unsafe-eval
        deadline = time.monotonic() + 180
        while not page.evaluate(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def saved(page: Any) -> None:
        until(page, "unsaved === 0")

    with browser.open_page(served.url) as page:
        page.wait_for_selector("#wave")
        box = page.locator("#wave").bounding_box()
        assert box is not None
        seconds = page.evaluate("call.seconds")

        def drag(start: float, end: float) -> None:
            x = [box["x"] + t / seconds * box["width"] for t in (start, end)]
            page.mouse.move(x[0], box["y"] + 60)
            page.mouse.down()
            page.mouse.move(x[1], box["y"] + 60, steps=4)
            page.mouse.up()
            saved(page)

        drag(1.0, 3.0)
        (span,) = kept()
        assert span.start == pytest.approx(1.0, abs=0.05)
        assert span.end == pytest.approx(3.0, abs=0.05)
        assert span.label is Label.ANGRY
        drag(3.0, 4.0)  # its edge
        assert kept()[0].end == pytest.approx(4.0, abs=0.05)
        page.click("#unclear")
        drag(5.0, 6.0)
        assert [s.label for s in kept()] == [Label.ANGRY, Label.UNCLEAR]
        page.keyboard.press("z")
        saved(page)
        assert len(kept()) == 1

        page.mouse.click(box["x"] + 7.0 / seconds * box["width"], box["y"] + 60)
        page.keyboard.press("u")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("u")
        saved(page)
        assert kept()[1].label is Label.UNCLEAR
        assert kept()[1].seconds == pytest.approx(2.0, abs=0.05)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Delete")
        saved(page)
        assert len(kept()) == 1

        page.mouse.click(box["x"] + 1, box["y"] + 60)
        page.keyboard.press(" ")
        until(page, "audio.currentTime > 0.3")
        page.keyboard.press(" ")
        # What was heard is told a little later than what was marked.
        deadline = time.monotonic() + 30
        while (rating := store.load("a.wav", "ann")) is None or (rating.heard or 0.0) <= 0.25:
            assert time.monotonic() < deadline, rating
            time.sleep(0.1)

        with monkeypatch.context() as patch:

            def full(store: LabelStore, rating: object) -> None:
                raise OutputError("labels: cannot be written", "make room on the disk")

            patch.setattr(LabelStore, "save", full)
            page.keyboard.press("d")
            page.wait_for_selector("#problem:not([hidden])")
            assert "make room on the disk" in page.inner_text("#problem")
            assert page.inner_text("#state") == "not saved"
        page.keyboard.press("d")
        until(page, "calls[0].done")
        until(page, "current === 1")  # the broken one
        page.wait_for_selector("#problem:not([hidden])")
        assert "broken.wav" in page.inner_text("#problem")
        page.keyboard.press("p")
        page.wait_for_selector("#spans tr")
        assert "angry" in page.inner_text("#spans")
    rating = store.load("a.wav", "ann")
    assert rating is not None and rating.done and len(rating.spans) == 1
