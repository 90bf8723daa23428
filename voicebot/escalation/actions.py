"""What is done about a state or an alert.

Every outward action is an :class:`voicebot.events.Action` in the record of the
call.  A caller who is losing patience is soothed (the text is there for
whatever speaks to the caller); an alert is told to people and, if there is a
webhook, put in the outbox from where it is delivered in the background.
"""

from __future__ import annotations

import json
from typing import Protocol

import structlog

from voicebot.closing import Closing
from voicebot.errors import ConfigError
from voicebot.escalation.delivery import DeliveryWorker
from voicebot.escalation.outbox import Message, Outbox, OutboxError, OutboxParams
from voicebot.escalation.webhook import WebhookParams, WebhookSender
from voicebot.events import Action, Alert, EscalationState, State
from voicebot.params import Params, key

__all__ = [
    "ActionHandler", "ActionsParams", "Notify", "Responder", "Soothe", "Webhook",
    "open_delivery",
]  # fmt: skip

log = structlog.get_logger()

_FALLBACK = "en"


class ActionsParams(Params):
    """What is said, and where alerts go."""

    soothe: dict[str, str] = key(
        {
            "en": "I hear that this has been frustrating, and I am sorry. Let me sort it out "
            "for you right now.",
            "zh": "非常抱歉给您带来了不好的体验，我完全理解您的心情，我马上为您处理。",
            "ko": "불편을 드려 정말 죄송합니다. 많이 답답하셨을 텐데 "
            "지금 바로 해결해 드리겠습니다.",
        },
        "What a caller is told when the call is RISING, by language; en where a language is "
        "missing, and nothing if that is missing too.",
    )  # fmt: skip
    connect: dict[str, str] = key(
        {
            "en": "I am sorry for the trouble. I am connecting you to a colleague who can help "
            "you directly. Please stay on the line.",
            "zh": "很抱歉让您久等了。我正在为您转接专人处理，请不要挂断电话。",
            "ko": "불편을 드려 죄송합니다. 직접 도와드릴 수 있는 담당자를 연결해 드리겠습니다. "
            "잠시만 기다려 주세요.",
        },
        "What a caller is told when the call is ESCALATED, by language; as soothe.",
    )  # fmt: skip
    unavailable: dict[str, str] = key(
        {
            "en": "I am sorry, all my colleagues are busy right now. I am still here for you.",
            "zh": "非常抱歉，现在所有同事都在忙。我会继续为您服务。",
            "ko": "죄송합니다. 지금은 모든 담당자가 통화 중입니다. 제가 계속 도와드리겠습니다.",
        },
        "What a caller is told when no human could be reached, by language; spoken by "
        "scripts/make_prompts.",
    )  # fmt: skip
    webhook: WebhookParams = key(WebhookParams(), "Posting alerts to a web server.")
    outbox: OutboxParams = key(OutboxParams(), "Where alerts wait until the web server has them.")


class ActionHandler(Protocol):
    """Does something about states and alerts."""

    def respond(self, event: State | Alert) -> list[Action]:
        """Act upon an event; never raises, a failure is told in the action.

        Returns:
            What was done, in order; empty if nothing.
        """
        ...


class Soothe:
    """Says what a caller is to be told.

    Args:
        params: The texts.
        language: ISO 639-1.
    """

    def __init__(self, params: ActionsParams, language: str) -> None:
        self._texts = {
            EscalationState.RISING: params.soothe.get(language, params.soothe.get(_FALLBACK)),
            EscalationState.ESCALATED: params.connect.get(language, params.connect.get(_FALLBACK)),
        }

    def respond(self, event: State | Alert) -> list[Action]:
        """Soothe a call that begins to rise, once; connect one that escalates, once."""
        if not isinstance(event, State) or event.previous is EscalationState.COOLING:
            return []  # a caller who was told already is not told again
        text = self._texts.get(event.state)
        if not text:
            return []
        return [Action(call_id=event.call_id, leg=event.leg, t=event.t, action="soothe",
                       detail=text)]  # fmt: skip


class Notify:
    """Tells whoever watches the call, on the console or in the events."""

    def respond(self, event: State | Alert) -> list[Action]:
        """One line about an alert."""
        if not isinstance(event, Alert):
            return []
        kind = "updated" if event.update else "opened"
        quoted = len(event.evidence)
        detail = (
            f"{event.severity.value} alert {kind}: {event.reason}, "
            f"{quoted} utterance{'' if quoted == 1 else 's'} quoted"
        )
        return [_about(event, "notify", detail)]


class Webhook:
    """Puts alerts in the outbox.

    Args:
        params: Where they are to go.
        outbox: Open.
        worker: To be woken; None if another process delivers.
    """

    def __init__(
        self, params: WebhookParams, outbox: Outbox, worker: DeliveryWorker | None = None
    ) -> None:
        self._params = params
        self._outbox = outbox
        self._worker = worker

    def respond(self, event: State | Alert) -> list[Action]:
        """Put an alert on disk, to be delivered; a call goes on even if that fails."""
        if not isinstance(event, Alert):
            return []
        try:
            key = self._outbox.enqueue(
                Message(event.call_id, event.type, payload(event, self._params.include_text))
            )
        except OutboxError as err:
            log.error("alert_not_kept", alert_id=event.alert_id, error=err.what, mend=err.mend)
            return [_about(event, "webhook", f"failed: {err.what}")]
        log.info("alert_queued", alert_id=event.alert_id, key=key, host=self._params.host)
        if self._worker is not None:
            self._worker.wake()
        return [_about(event, "webhook", f"queued for {self._params.host}")]


def payload(alert: Alert, include_text: bool = True) -> str:
    """The JSON that is posted for an alert: the event itself, in ASCII.

    Args:
        alert: The alert.
        include_text: Whether to send what was said; else its texts are empty.
    """
    data = alert.to_dict()
    if not include_text:
        data["evidence"] = [{**quote, "text": ""} for quote in data["evidence"]]
    return json.dumps(data, allow_nan=False)


class Responder(Closing):
    """Everything that is done about states and alerts, for all calls.  A context manager.

    With a webhook it opens the outbox and begins to deliver, what earlier runs
    left behind first.

    Args:
        params: What to say, and where alerts go.
        language: ISO 639-1, of the caller; decides the texts.

    Raises:
        OutboxError: the outbox cannot be opened.
        ConfigError: a lease would run out during an attempt.
    """

    def __init__(self, params: ActionsParams, language: str) -> None:
        self._params = params
        self._handlers: list[ActionHandler] = [Soothe(params, language), Notify()]
        self._outbox: Outbox | None = None
        self._worker: DeliveryWorker | None = None
        if params.webhook.url:
            self._outbox, self._worker = open_delivery(params)
            self._handlers.append(Webhook(params.webhook, self._outbox, self._worker))

    def respond(self, event: State | Alert) -> list[Action]:
        """Act upon a state or an alert.

        Returns:
            What was done, in order.
        """
        return [action for handler in self._handlers for action in handler.respond(event)]

    def close(self) -> None:
        """Give what is pending a last chance (``outbox.drain_seconds``), then stop."""
        if self._outbox is None or self._worker is None:
            return
        try:
            if left := self._worker.drain(self._params.outbox.drain_seconds):
                log.warning(
                    "alerts_still_pending",
                    pending=left,
                    outbox=self._params.outbox.path,
                    mend="they are delivered by the next run, or `voicebot outbox flush`",
                )
        except OutboxError as err:
            log.error("outbox_unusable", error=err.what, mend=err.mend)
        finally:
            self._worker.close()
            self._outbox.close()
            self._outbox = self._worker = None


def open_delivery(params: ActionsParams) -> tuple[Outbox, DeliveryWorker]:
    """Open the outbox and start delivering from it.

    Returns:
        The outbox and the worker, to be closed in the opposite order.

    Raises:
        OutboxError: the outbox cannot be opened.
        ConfigError: a lease would run out during an attempt.
    """
    if params.outbox.lease_seconds <= params.webhook.timeout_seconds:
        raise ConfigError(
            f"actions.outbox.lease_seconds ({params.outbox.lease_seconds:g} s) does not outlast "
            f"actions.webhook.timeout_seconds ({params.webhook.timeout_seconds:g} s)",
            "raise the one or lower the other",
        )
    if params.webhook.url.startswith("http://") and not params.webhook.is_local:
        log.warning("webhook_unencrypted", host=params.webhook.host, mend="use https")
    outbox = Outbox(params.outbox)
    worker = DeliveryWorker(outbox, WebhookSender(params.webhook))
    worker.start()
    return outbox, worker


def _about(alert: Alert, action: str, detail: str) -> Action:
    return Action(call_id=alert.call_id, leg=alert.leg, t=alert.t, action=action, detail=detail,
                  alert_id=alert.alert_id)  # fmt: skip
