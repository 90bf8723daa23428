"""Ctrl-C and SIGTERM, taken only where a call can be closed cleanly."""

from __future__ import annotations

import os
import signal

import pytest

from voicebot.cli.interrupt import Interrupt


def test_at_work_the_signal_is_noted_and_raised_at_the_next_wait() -> None:
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt), interrupt.waiting():
            pytest.fail("must not wait any more")
        assert interrupt.exit_code == 130


def test_while_waiting_the_signal_raises_at_once() -> None:
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt), interrupt.waiting():
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the signal did not interrupt")
    assert interrupt.exit_code == 143


def test_a_second_signal_always_raises() -> None:
    with Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_old_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
