"""Text models of the transformers library.

Shapes: N texts, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, Exported, TextEncoder, Vocabulary
from vlc_core.options import PathLike
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.pretrained.layers import ordered, recompute_blocks
from vlc_plugin_encoders.pretrained.library import Origin, read_config, read_model
from vlc_plugin_encoders.text_transformer import mean, trim

Pool = Literal["auto", "first", "end", "mean"]


@final
class TransformersText(TextEncoder):
    """Any text encoder of the library: BERT, RoBERTa, XLM-R, DistilBERT, CLIP's.

    Weights go with their own tokenizer, which is taken from the same place unless the recipe names another.
    """

    default_tokenizer: ClassVar[str] = "byte-level"

    @classmethod
    def own_tokenizer(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of the folder or hub name; a model that is built from a configuration has none."""
        place = {name: options[name] for name in ("folder", "hub", "remote_code") if options.get(name)}
        if not place.keys() & {"folder", "hub"}:
            return super().own_tokenizer(options)
        return {"use": "encoders/transformers", **place}

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        config: dict[str, Any] | None = None,
        folder: Annotated[str, PathLike()] | None = None,
        hub: str | None = None,
        context: Annotated[int, Field(ge=3)] = 77,
        pool: Pool = "auto",
        layers: Annotated[int, Field(gt=0)] | None = None,
        remote_code: bool = False,
        recompute: bool = False,
    ) -> None:
        """Loads the model, or builds it from ``config``.

        Args:
            vocabulary: Of the tokenizer; a model that is built takes its size and special ids where its
                configuration does not say them.
            config: The model's configuration: ``model_type`` and whatever differs from its defaults.
            folder: A folder with ``config.json`` and ``model.safetensors``.
            hub: A name on the hub.
            context: The longest text in tokens, start and end included.
            pool: Which token summarises the text; ``auto`` takes the end for CLIP's towers, else the first.
            layers: Keep only so many of the model's first layers, where the upper ones are those of a fusion encoder;
                by default all.
            remote_code: Allow code that comes with the model to run.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: The options name no model or several, one that encodes no text or fewer tokens, or one that
                knows fewer ids than the tokenizer has.
            DataError: The model cannot be loaded.
        """
        super().__init__()
        origin = Origin(config, folder, hub, remote_code)
        settings = text_part(read_config(origin), origin)
        if origin.config is not None:
            adopt(settings, vocabulary, said=origin.config.keys())
        check(settings, vocabulary, context, origin)
        if layers is not None:
            keep(settings, layers, origin)
        self.model = read_model(origin, settings)
        if recompute:
            recompute_blocks(self)
        self._origin = origin
        self.leading_tokens = 0 if vocabulary.start is None else 1
        self.context, self.width = context, int(settings.hidden_size)
        self.pool = pool if pool != "auto" else ("end" if "clip" in settings.model_type else "first")
        self.pad = settings.pad_token_id if getattr(settings, "pad_token_id", None) is not None else vocabulary.pad

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """Encodes ``tokens`` (N, L) under ``mask`` (N, L)."""
        length = tokens.shape[1]
        tokens_NL, mask_NL = trim(tokens, mask)
        seen_NL = mask_NL | (torch.arange(mask_NL.shape[1], device=mask.device) == 0)
        # Some models count positions by what is not the padding id, so that no other id may stand at padding.
        tokens_NL = tokens_NL.masked_fill(~seen_NL, self.pad)
        x_NLW = self.model(input_ids=tokens_NL, attention_mask=seen_NL.long()).last_hidden_state
        summary_NW = self._summary(x_NLW, seen_NL)
        if not self.returns_tokens:
            return Encoded(summary_NW)
        return Encoded(summary_NW, F.pad(x_NLW, (0, 0, 0, length - x_NLW.shape[1])), mask)

    def layer_names(self) -> list[list[str]]:
        """The embeddings, then the blocks."""
        return ordered(self.model, "model")

    def settled_options(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration that was read, in place of where it was read from."""
        return self._origin.settled(options, self.model.config)

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes the model as it is now, with its tokenizer."""
        from vlc_plugin_encoders.weights import export  # it imports this module

        export.check_library(to)
        end = tokenizer.vocabulary.end
        return export.export_text(self, self.model, folder, tokenizer, pool=self.pool, end=end)

    def _summary(self, x_NLW: Tensor, seen_NL: Tensor) -> Tensor:
        if self.pool == "first":
            return x_NLW[:, 0]
        if self.pool == "mean":
            return mean(x_NLW, seen_NL)
        return x_NLW[torch.arange(x_NLW.shape[0], device=x_NLW.device), seen_NL.sum(dim=1) - 1]


def text_part(config: Any, origin: Origin) -> Any:
    """The configuration of the text tower, where ``config`` is of several towers.

    Raises:
        RecipeError: The model has a decoder, or is not of text.
    """
    config = getattr(config, "text_config", None) or config
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "vocab_size"):
        raise RecipeError(f"{origin.name} is not a text encoder; name one such as BERT, RoBERTa or CLIP's text model.")
    return config


def adopt(config: Any, vocabulary: Vocabulary, *, said: Collection[str]) -> None:
    """Gives a model that is yet to be built the tokenizer's size and special ids, except where ``said`` has the key."""
    own = {
        "vocab_size": vocabulary.size,
        "pad_token_id": vocabulary.pad,
        "bos_token_id": vocabulary.start,
        # Towers that look for the end token compare ids with it and cannot do without one.
        "eos_token_id": vocabulary.size - 1 if vocabulary.end is None else vocabulary.end,
    }
    for key, value in own.items():
        if key not in said:
            setattr(config, key, value)


def keep(config: Any, layers: int, origin: Origin) -> None:
    """Has the model built, or loaded, with its first ``layers`` alone.

    Raises:
        RecipeError: It has not that many.
    """
    there = config.num_hidden_layers
    if layers > there:
        raise RecipeError(f"{origin.name} has {there} layers, fewer than layers: {layers}; set fewer.")
    config.num_hidden_layers = layers


def check(config: Any, vocabulary: Vocabulary, context: int, origin: Origin) -> None:
    """Refuses a tokenizer or a context that the model's tables are too small for.

    Raises:
        RecipeError: Either of the two.
    """
    if vocabulary.size > config.vocab_size:
        raise RecipeError(
            f"The tokenizer has {vocabulary.size} ids but {origin.name} knows {config.vocab_size}; "
            "use the tokenizer that belongs to it."
        )
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return
    # RoBERTa and its kin count positions from the padding id on.
    longest = positions - (config.pad_token_id + 1 if "roberta" in config.model_type else 0)
    if context > longest:
        raise RecipeError(f"{origin.name} reads at most {longest} tokens; set context to that or less, not {context}.")
