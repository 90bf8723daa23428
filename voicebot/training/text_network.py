"""One network a language: its size, its vocabulary, and the stages of its training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from voicebot.emotion.text_features import normalise
from voicebot.emotion.vocabulary import CHARACTERS, SPECIAL, WORDPIECE, Vocabulary
from voicebot.training.pretrained import (
    choose_pieces,
    find_encoder,
    read_safetensors,
    read_vocabulary,
)
from voicebot.training.text_corpora import Example
from voicebot.training.text_encoder import (
    ConvolutionShape,
    EncoderShape,
    build,
    need_torch,
    start_from,
)
from voicebot.training.text_neural import Stage, Targets, targets, train_stage

FROZEN: Final = 3
"""Layers of the published encoder that are taken as they are."""
RARE: Final = 3
"""A character is known if the corpora have it as often as this."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network of a language is made."""

    stages: tuple[Stage, ...]
    max_tokens: int
    shape: EncoderShape | ConvolutionShape
    """its number of pieces is not known before the corpora are read"""
    members: int = 1
    """networks of other chance, whose logits are averaged"""

    @property
    def published(self) -> bool:
        """Whether it starts from the published English encoder."""
        return isinstance(self.shape, EncoderShape)


_SMALL: Final = ConvolutionShape(0, width=128, filters=160, spans=(1, 2, 3, 4), hidden=256)
RECIPES: Final[Mapping[str, Recipe]] = {
    # Two stages, so that the first can be measured on customer service it never saw.
    "en": Recipe(
        (
            Stage("general", {"goemotions": 1.5, "empatheticdialogues": 0.4}, 8e-5, 8e-4, 32),
            Stage(
                "service",
                {"airline_tweets": 1.0, "goemotions": 0.3, "empatheticdialogues": 0.1},
                4e-5, 2e-4, 32,
            ),
        ),
        48, EncoderShape(0, 48, layers=6, width=384, heads=12, hidden=1536),
    ),
    "zh": Recipe(
        (
            Stage(
                "all",
                {"smp_usual": 6.0, "smp_virus": 3.0, "cped": 2.0, "online_shopping_10_cats": 0.5},
                1.5e-3, 1.5e-3, 64,
            ),
        ),
        102, _SMALL,
    ),
    "ko": Recipe(
        (
            Stage(
                "all",
                {"kote": 6.0, "ko_single_utterance": 2.0, "ko_continuous_dialogue": 1.0},
                1.5e-3, 1.5e-3, 64,
            ),
        ),
        102, _SMALL,
    ),
}  # fmt: skip
SERVICE: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("en", "general"): ("airline_tweets",),
}
"""By language and stage, the corpora of customer service that the network has not seen by then."""


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network with its vocabulary."""

    net: Any
    shape: EncoderShape | ConvolutionShape
    vocabulary: Vocabulary


def train_network(
    examples: Sequence[Example],
    language: str,
    *,
    seed: int,
    cache: Path,
    encoder: Path | None,
    progress: Callable[[str, float], None],
    after: Callable[[str, Network], None] = lambda stage, network: None,
) -> tuple[Network, ...]:
    """Train the networks of a language, or the rest of them if a checkpoint is there.

    Args:
        examples: Of the train split, with added ones.
        language: ISO 639-1, one of :data:`RECIPES`.
        seed: Of all chance.
        cache: Folder for checkpoints.
        encoder: Folder of the published encoder, see
            :func:`voicebot.training.pretrained.find_encoder`.
        progress: Told the stage and the share of it that is done.
        after: Called with each stage's name and the network as it is then.

    Raises:
        ModelError: torch or the published encoder is missing, or a corpus has one label only.
        OutputError: a checkpoint cannot be written.
    """
    torch = need_torch()
    recipe = RECIPES[language]
    data = targets(examples, [normalise(e.text, language) for e in examples])
    networks = []
    for member in range(recipe.members):
        torch.manual_seed(seed + member)
        network = _start(recipe, data, encoder)
        history = repr((network.shape, network.vocabulary.pieces))
        for stage in recipe.stages:
            named = stage.name if recipe.members == 1 else f"{stage.name} {member + 1}"
            history = train_stage(
                network.net, stage, data, network.vocabulary, language=language,
                seed=seed + member, folder=cache, history=history,
                progress=_named(progress, named),
            )  # fmt: skip
            after(named, network)
        networks.append(network)
    return tuple(networks)


def _start(recipe: Recipe, data: Targets, encoder: Path | None) -> Network:
    """A network before its first stage."""
    if isinstance(recipe.shape, EncoderShape):
        return _published(recipe.shape, recipe.max_tokens, data, encoder)
    seen = Counter(character for text in data.texts for character in text)
    pieces = sorted(c for c, times in seen.items() if times >= RARE)
    vocabulary = Vocabulary([*SPECIAL, *pieces], CHARACTERS, recipe.max_tokens)
    shape = replace(recipe.shape, pieces=len(vocabulary.pieces))
    return Network(build(shape, data.labels.shape[1]), shape, vocabulary)


def _published(
    shape: EncoderShape, max_tokens: int, data: Targets, encoder: Path | None
) -> Network:
    """The published encoder, with what our corpora need of its vocabulary."""
    folder = find_encoder(encoder)
    pieces = read_vocabulary(folder)
    everything = Vocabulary([pieces[i] for i in choose_pieces(pieces, pieces)])
    seen = {everything.pieces[i] for text in data.texts for i in everything.ids(text)}
    kept = choose_pieces(pieces, seen)
    shape = replace(shape, pieces=len(kept))
    net = build(shape, data.labels.shape[1])
    start_from(net, read_safetensors(folder / "model.safetensors"), kept)
    # The words stay where the publisher's billion sentences put them: those that no corpus of
    # ours has would be left behind otherwise.  The first layers stay too, which saves time.
    for part in (net.words, net.places, net.norm, *net.layers[:FROZEN]):
        part.requires_grad_(False)
    return Network(net, shape, Vocabulary([pieces[i] for i in kept], WORDPIECE, max_tokens))


def _named(progress: Callable[[str, float], None], name: str) -> Callable[[float], None]:
    return lambda share: progress(name, share)
