"""What the daemon tells ops of itself: its calls, their lines, and what was counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from voicebot.serving.exchange import Exchange
from voicebot.serving.live_call import LiveCall
from voicebot.telephony.line import Gateway, MediaFigures


def call_status(live: LiveCall, now: float) -> dict[str, Any]:
    """One running call as plain JSON types.  The caller's number is not among them.

    Args:
        live: The call.
        now: s, the loop's clock.
    """
    view, offer = live.view, live.offer
    figures = live.line.figures()
    return {
        "call_id": live.id,
        "gateway": offer.gateway,
        "reference": offer.reference,
        "peer": offer.peer,
        "called": offer.called,
        "rate_hz": offer.rate,
        "age_s": round(now - live.began, 1),
        "state": view.state.value,
        "evidence_nats": round(view.evidence, 2),
        "threshold_nats": round(view.threshold, 2),
        "dropped_blocks": view.dropped,
        "unrecorded": view.unrecorded,
        "legs": {
            leg.value: {
                "state": leg_view.state.value,
                "quiet_s": round(now - leg_view.last_audio, 1),
                **_media(figures.get(leg)),
            }
            for leg, leg_view in view.legs.items()
        },
    }


def daemon_status(
    exchange: Exchange, gateways: Iterable[Gateway], now: float, calls: Iterable[LiveCall] = ()
) -> dict[str, Any]:
    """The daemon, and those of its calls that are asked for, as plain JSON types."""
    return {
        "calls": [call_status(live, now) for live in calls],
        "running": len(exchange.calls),
        "max_calls": exchange.params.max_calls,
        "draining": exchange.draining,
        "lag_p95_s": round(exchange.lag.percentile(0.95, now), 3),
        "counters": {
            "engine": dict(sorted(exchange.counters.items())),
            **{g.name: dict(sorted(g.counters.items())) for g in gateways},
        },
    }


def _media(figures: MediaFigures | None) -> Mapping[str, Any]:
    if figures is None:
        return {}
    sent = figures.packets + figures.lost
    return {
        "codec": figures.codec,
        "packets": figures.packets,
        "lost": figures.lost,
        "loss_percent": round(100 * figures.lost / sent, 2) if sent else 0.0,
        "late": figures.late,
        "duplicates": figures.duplicates,
        "strangers": figures.strangers,
        "jitter_ms": round(1000 * figures.jitter, 1),
        "concealed_s": round(figures.concealed, 2),
    }
