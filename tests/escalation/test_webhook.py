"""Signed posts to a real server that is down, slow, rude or dying."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.escalation.receiver import SECRET, Receiver, free_port, wait_until
from voicebot.escalation.delivery import DeliveryWorker, Outcome, Result
from voicebot.escalation.outbox import Message, Outbox, OutboxParams, Row, RowState
from voicebot.escalation.webhook import WebhookParams, WebhookSender, sign, verify

ROW = Row(
    id=1, key="k-1", call_id="c", kind="alert", body='{"type": "alert", "text": "\\u4f60"}',
    state=RowState.PENDING, created=0, expires=1e12, attempts=0, due=0, error="",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def params(url: str, timeout: float = 5.0) -> WebhookParams:
    return WebhookParams.model_validate({"url": url, "secret": SECRET, "timeout_seconds": timeout})


def send(url: str, timeout: float = 5.0) -> Outcome:
    sender = WebhookSender(params(url, timeout))
    try:
        return sender.send(ROW)
    finally:
        sender.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    settings = OutboxParams(
        path=str(tmp_path / "outbox.db"), first_delay_seconds=0.05, max_delay_seconds=0.1
    )
    with Outbox(settings) as opened:
        yield opened


def test_a_signed_post() -> None:
    with Receiver() as receiver:
        assert send(receiver.url) == Outcome(Result.DELIVERED)
    (got,) = receiver.got
    assert got.genuine and got.body.decode() == ROW.body
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == "k-1"
    assert got.headers["user-agent"].startswith("voicebot/")
    assert abs(int(got.headers["x-voicebot-timestamp"]) - time.time()) < 10


def test_the_documented_verification() -> None:
    """The five lines in the module's docstring, run on a real delivery."""
    with Receiver() as receiver:
        send(receiver.url)
    (got,) = receiver.got
    timestamp, body = got.headers["x-voicebot-timestamp"], got.body
    signature, secret = got.headers["x-voicebot-signature"], SECRET
    signed = timestamp.encode() + b"." + body
    wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(wanted, signature)
    assert abs(time.time() - int(timestamp)) <= 300


@settings(max_examples=30)
@given(st.binary(max_size=200), st.integers(0, 10**10), st.text(min_size=16, max_size=40))
def test_verify_takes_what_sign_made_and_nothing_else(body: bytes, at: int, secret: str) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    made = sign(secret, str(at), body)
    assert verify(secret, str(at), body, made, now=at)
    assert not verify(secret, str(at), body + b"x", made, now=at)
    assert not verify(secret, str(at + 1), body, made, now=at)
    assert not verify(secret + "x", str(at), body, made, now=at)
    assert not verify(secret, str(at), body, made, now=at + 301)
    assert not verify(secret, str(at), body, made[:-1] + "é", now=at)


def test_a_known_signature() -> None:
    """So that receivers in other languages have something to test against."""
    assert sign("0123456789abcdef", "1700000000", b'{"a":1}') == (
        "v1=" + hmac.digest(b"0123456789abcdef", b'1700000000.{"a":1}', "sha256").hex()
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_delivered(status: int) -> None:
    with Receiver([status]) as receiver:
        assert send(receiver.url).result is Result.DELIVERED


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_worth_another_try(status: int) -> None:
    with Receiver([status]) as receiver:
        outcome = send(receiver.url)
    assert outcome.result is Result.RETRY and f"answered {status}" in outcome.error


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_final(status: int) -> None:
    with Receiver([status]) as receiver:
        outcome = send(receiver.url)
    assert outcome.result is Result.REJECTED and f"answered {status}" in outcome.error


def test_redirects_are_not_followed() -> None:
    with Receiver() as elsewhere, Receiver([307], {"Location": elsewhere.url}) as receiver:
        outcome = send(receiver.url)
    assert outcome.result is Result.REJECTED and "redirects are not followed" in outcome.error
    assert elsewhere.got == []


def test_retry_after() -> None:
    with Receiver([503], {"Retry-After": "7"}) as receiver:
        assert send(receiver.url).retry_after == 7
    with Receiver([503], {"Retry-After": formatdate(time.time() + 60, usegmt=True)}) as receiver:
        after = send(receiver.url).retry_after
        assert after is not None and 50 < after <= 60
    for nonsense in ("soon", "-5", "١٢", "Mon, 99 Foo"):
        with Receiver([503], {"Retry-After": nonsense.encode().decode("latin-1")}) as receiver:
            assert send(receiver.url).retry_after is None


@pytest.mark.parametrize("step", ["hang", "drip"])
def test_a_receiver_that_hangs_or_drips(step: str) -> None:
    with Receiver([step]) as receiver:
        began = time.monotonic()
        outcome = send(receiver.url, timeout=0.4)
        assert time.monotonic() - began < 2
    assert outcome == Outcome(Result.RETRY, "no complete answer within 0.4 s")


@pytest.mark.parametrize("step", ["half", "drop"])
def test_a_receiver_that_dies(step: str) -> None:
    with Receiver([step]) as receiver:
        outcome = send(receiver.url)
    assert outcome.result is Result.RETRY and "RemoteProtocolError" in outcome.error


def test_nobody_there() -> None:
    outcome = send(f"http://127.0.0.1:{free_port()}/")
    assert outcome == Outcome(Result.RETRY, "ConnectError: Connection refused")


def test_a_name_that_does_not_exist() -> None:
    assert send("http://does-not-exist.invalid/").result is Result.RETRY


CERTIFICATE = Path(__file__).with_name("localhost.pem")  # self-signed, for these tests alone


def test_tls_is_verified() -> None:
    with Receiver(certificate=CERTIFICATE) as receiver:
        outcome = send(receiver.url)
    assert outcome.result is Result.RETRY and "certificate verify failed" in outcome.error
    assert receiver.got == []


def test_a_private_authority_is_trusted_where_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with Receiver(certificate=CERTIFICATE) as receiver:
        assert send(receiver.url).result is Result.DELIVERED
    assert receiver.got[0].genuine


def test_https_never_falls_back_to_plain_text() -> None:
    with Receiver() as receiver:
        outcome = send(receiver.url.replace("http:", "https:"))
    assert outcome.result is Result.RETRY and receiver.got == []


def test_cancel() -> None:
    with Receiver(["hang"]) as receiver:
        sender = WebhookSender(params(receiver.url, 30))
        sender.cancel()  # nothing under way
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(sender.send(ROW)))
        thread.start()
        receiver.wait_for(1)
        sender.cancel()
        thread.join(5)
        sender.close()
    assert outcomes == [Outcome(Result.CANCELLED)]


# ------------------------------------------------------------------ through the outbox


def put(outbox: Outbox, body: str = "{}") -> str:
    return outbox.enqueue(Message("c", "alert", body))


def deliver(outbox: Outbox, url: str, timeout: float = 5.0) -> DeliveryWorker:
    worker = DeliveryWorker(outbox, WebhookSender(params(url, timeout)), seed=1)
    worker.start()
    return worker


@pytest.mark.parametrize("step", [500, "hang", "half", "drop", 429])
def test_a_bad_answer_then_a_good_one(outbox: Outbox, step: int | str) -> None:
    key = put(outbox, '{"n": 1}')
    with Receiver([step]) as receiver:
        worker = deliver(outbox, receiver.url, timeout=0.5)
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert [(got.key, got.status) for got in receiver.got] == [(key, step), (key, 200)]
    assert all(got.genuine and got.data == {"n": 1} for got in receiver.got)


def test_down_for_a_while(outbox: Outbox) -> None:
    """Down, then up: everything arrives, once, in order."""
    port = free_port()
    keys = [put(outbox, str(n)) for n in range(3)]
    worker = deliver(outbox, f"http://127.0.0.1:{port}/hook")
    wait_until(lambda: outbox.rows()[0].attempts >= 5)
    with Receiver(port=port) as receiver:
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert [got.key for got in receiver.got] == keys


def test_a_refused_one_does_not_hold_up_the_next(outbox: Outbox) -> None:
    first, second = put(outbox), put(outbox)
    with Receiver([400]) as receiver:
        worker = deliver(outbox, receiver.url)
        wait_until(lambda: outbox.pending() == 0)
        worker.close()
    assert [row.key for row in outbox.rows(RowState.DEAD)] == [first]
    assert receiver.got[1].key == second


def test_close_while_the_receiver_hangs(outbox: Outbox) -> None:
    put(outbox)
    with Receiver(["hang"]) as receiver:
        worker = deliver(outbox, receiver.url, timeout=30)
        receiver.wait_for(1)
        began = time.monotonic()
        worker.close()
        assert time.monotonic() - began < 2
    assert outbox.pending() == 1


# ------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    "url", ["ftp://x/", "example.com/hook", "http://", "https:///x", "http://x:port/", "http://["]
)
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(ValidationError, match="no http or https address"):
        WebhookParams.model_validate({"url": url, "secret": SECRET})


def test_a_secret_is_needed_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="at least 16 characters"):
        WebhookParams(url="https://example.com/")
    with pytest.raises(ValidationError) as caught:
        WebhookParams.model_validate({"url": "https://example.com/", "secret": "tooshort"})
    shown = params("https://me:password@example.com:8443/hook?token=t")
    for text in (repr(shown), str(shown.model_dump(mode="json")), str(caught.value)):
        assert SECRET not in text and "tooshort" not in text
    assert shown.host == "example.com:8443" and not shown.is_local
    assert params("http://localhost:1/").is_local
    assert WebhookParams().url == ""
