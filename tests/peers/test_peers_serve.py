"""The daemon as a whole: an angry caller is handed over to somebody who answers."""

import importlib.util
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.peers.baresip import Baresip
from tests.peers.processes import wait_for
from tests.peers.serve import Serve
from tests.peers.sound import speech


@pytest.mark.skipif(
    importlib.util.find_spec("moonshine_voice") is None,
    reason="moonshine-voice not installed: pip install voicebot[english]",
)
def test_an_angry_caller_is_handed_over(
    stack: ExitStack, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    agent = stack.enter_context(
        Baresip("agent", tmp_path, account="audio_codecs=PCMU;answermode=auto")
    )
    settings = {"language": "en", "handover": {"targets": [agent.uri]}}
    daemon = stack.enter_context(closing(Serve("daemon", tmp_path, settings)))
    daemon.wait()
    caller = stack.enter_context(Baresip("caller", tmp_path, speech(40.0, start=10.0)))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{daemon.port}")
    caller.wait("CALL_ESTABLISHED")
    wait_for(lambda: daemon.events("alert"), "an alert", 38.0)
    alerted = time.monotonic()
    event = agent.wait("CALL_ESTABLISHED", 10.0)
    took = time.monotonic() - alerted
    record_testsuite_property("seconds from alert to agent", round(took, 3))
    assert took < 3.0
    assert caller.uri in str(event.get("peeruri"))
    wait_for(lambda: daemon.events("call_ended"), "the end of the call")
    assert daemon.events("call_ended")[0]["reason"] == "transferred"
    assert [event["result"] for event in daemon.events("transfer")][-1] == "done"
