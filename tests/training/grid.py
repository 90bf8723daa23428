"""Flower's grid without processes: the sites' app is called where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voicebot.errors import VoicebotError
from voicebot.training.federated_site import client_app, need_flower


class InProcess:
    """Does as a ``flwr.serverapp.Grid``; sites may be told to die or to lie.

    Args:
        sites: Configuration of each node.
        silent: Nodes that never answer.
        facts: What a node says of itself instead of the truth.
    """

    def __init__(
        self,
        sites: Sequence[Mapping[str, Any]],
        silent: Sequence[int] = (),
        facts: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        flower = need_flower()
        identity = flower.supercore.task_identity.TaskIdentity
        identity.run_id, identity.node_id, identity.task_id = 0, 1, 1
        self._app, self._flower = client_app(), flower
        self._sites = dict(enumerate(sites, start=2))
        self._silent, self._facts = silent, facts or {}

    def get_node_ids(self) -> list[int]:
        return list(self._sites)

    def ask(self, kind: str) -> list[Any]:
        app = self._flower.app
        messages = [app.Message(app.RecordDict(), node, kind) for node in self._sites]
        return [reply.content for reply in self.send_and_receive(messages)]

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> Any:
        app = self._flower.app
        for message in messages:
            node = message.metadata.dst_node_id
            if node in self._silent:
                continue
            context = app.Context(0, node, dict(self._sites[node]), app.RecordDict(), {})
            try:
                reply = self._app(message, context)
            except VoicebotError as err:
                reply = app.Message(app.Error(2, str(err)), reply_to=message)
            if message.metadata.message_type == "query.describe" and reply.has_content():
                for name, value in self._facts.get(node, {}).items():
                    reply.content["config"][name] = value
            yield reply
