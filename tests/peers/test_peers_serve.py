"""The daemon as a whole: an angry caller is handed over to somebody who answers."""

from contextlib import ExitStack, closing
from pathlib import Path

from tests.peers.baresip import Baresip
from tests.peers.processes import wait_for
from tests.peers.serve import Serve
from tests.peers.sound import speech


def test_an_angry_caller_is_handed_over(stack: ExitStack, tmp_path: Path) -> None:
    agent = stack.enter_context(
        Baresip("agent", tmp_path, account="audio_codecs=PCMU;answermode=auto")
    )
    settings = {"handover": {"targets": [agent.uri]}}
    daemon = stack.enter_context(closing(Serve("daemon", tmp_path, settings)))
    daemon.wait()
    caller = stack.enter_context(Baresip("caller", tmp_path, speech(50.0)))
    caller.do("dial", f"sip:voicebot@127.0.0.1:{daemon.port}")
    caller.wait("CALL_ESTABLISHED")
    wait_for(lambda: daemon.events("alert"), "an alert", 50.0)
    event = agent.wait("CALL_ESTABLISHED", 10.0)
    assert caller.uri in str(event.get("peeruri"))
    wait_for(lambda: daemon.events("call_ended"), "the end of the call")
    assert daemon.events("call_ended")[0]["reason"] == "transferred"
