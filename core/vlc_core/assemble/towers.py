"""The model of a recipe: its tokenizer and its towers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vlc_core import options
from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import FusionEncoder, ImageEncoder, TextEncoder
from vlc_core.model.depth import freeze
from vlc_core.model.heads import make_head, shared_width
from vlc_core.model.start import Where, tokenizer_home
from vlc_core.model.temperature import Temperature
from vlc_core.model.towers import ImageTower, TextTower, Towers
from vlc_core.recipe.schema import Model, Use
from vlc_core.registry import Registry
from vlc_core.tokenizer import Tokenizer


def build_tokenizer(
    model: Model, registry: Registry, captions: Callable[[], Iterable[str]], where: Where = str
) -> Tokenizer:
    """The tokenizer of the weights that the text tower starts from, or the recipe's, or the encoder's own choice.

    Raises:
        RecipeError: The recipe names another one than the run that it starts from has.
    """
    home = tokenizer_home(model, where)
    if home is not None:
        return Tokenizer.load(home)
    spec = model.tokenizer
    if spec is None:
        encoder: type[TextEncoder] = registry.find("text_encoder", model.text.use).load()
        spec = Use.model_validate(dict(encoder.own_tokenizer(model.text.options)))
    tokenizer: Tokenizer = options.build(registry, "tokenizer", spec, where=where("model.tokenizer")).make(captions)
    return tokenizer


def build_towers(model: Model, registry: Registry, tokenizer: Tokenizer, where: Where = str) -> Towers:
    """Both towers and the temperature, freshly initialised from torch's generator; what is frozen is marked.

    Raises:
        RecipeError: An encoder refuses its options, or does not fit its head or ``freeze``.
    """
    image: ImageEncoder = options.build(registry, "image_encoder", model.image, where=where("model.image"))
    text: TextEncoder = options.build(
        registry, "text_encoder", model.text, tokenizer.vocabulary, where=where("model.text")
    )
    size = shared_width(model, image.width, text.width)
    temperature = Temperature(**model.temperature.model_dump())
    heads = [
        make_head(spec.head, encoder.width, size, where(f"model.{side}.head"))
        for side, spec, encoder in (("image", model.image, image), ("text", model.text, text))
    ]
    fusion: FusionEncoder | None = None
    if model.fusion is not None:
        given = (text.width, image.width)
        fusion = options.build(registry, "fusion_encoder", model.fusion, *given, where=where("model.fusion"))
    towers = Towers(ImageTower(image, size, heads[0]), TextTower(text, size, heads[1]), temperature, fusion)
    for side, spec, tower in (("image", model.image, towers.image), ("text", model.text, towers.text)):
        try:
            freeze(tower, spec.freeze)
        except RecipeError as error:
            raise RecipeError(f"{where(f'model.{side}.freeze')}: {error}") from error
    return towers
