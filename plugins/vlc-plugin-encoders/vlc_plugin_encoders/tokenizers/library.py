"""Tokenizers of the transformers library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, final

from vlc_core.errors import DataError
from vlc_core.interfaces.tokenizer import TokenizerSource
from vlc_core.options import PathLike
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.tokenizers.file import wrap


@final
class TransformersTokenizer(TokenizerSource):
    """The tokenizer that belongs to a model of the library."""

    learns: ClassVar[bool] = False

    def __init__(
        self,
        *,
        folder: Annotated[str, PathLike()] | None = None,
        hub: str | None = None,
        remote_code: bool = False,
    ) -> None:
        """Takes the options.

        Args:
            folder: The folder of a model or of its tokenizer.
            hub: A name on the hub.
            remote_code: Allow code that comes with the model to run.
        """
        self.folder, self.hub, self.remote_code = folder, hub, remote_code

    def make(self, captions: Callable[[], Iterable[str]]) -> Tokenizer:
        """Loads it; the captions are not looked at.

        Raises:
            RecipeError: Neither or both places are named.
            DataError: There is none, or it is not of the fast kind that the tokenizers library runs.
        """
        from vlc_plugin_encoders.pretrained.library import Origin, fetch, quietly, transformers

        origin = Origin(None, self.folder, self.hub, self.remote_code)
        origin.check_place()
        none = f"{origin.name} holds no tokenizer that the transformers library reads; name one, in model.tokenizer."
        try:
            with quietly():
                found: Any = fetch(origin, transformers().AutoTokenizer.from_pretrained)
        except DataError as error:
            raise (DataError(none) if origin.hub is None else error) from error
        # Of a model without a tokenizer's files the library makes one that knows nothing but its special tokens.
        if len(found) <= len(found.all_special_ids):
            raise DataError(none)
        if not getattr(found, "is_fast", False):
            raise DataError(f"The tokenizer of {origin.name} is not of the fast kind; name one with a tokenizer.json.")
        ids = {
            "pad": found.pad_token_id,
            "start": found.cls_token_id if found.cls_token_id is not None else found.bos_token_id,
            "end": found.sep_token_id if found.sep_token_id is not None else found.eos_token_id,
            "mask": found.mask_token_id,
            "unknown": found.unk_token_id,
        }
        return wrap(found.backend_tokenizer, ids)
