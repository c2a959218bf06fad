"""Tokenizers as files of the transformers library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlc_core.tokenizer import Tokenizer

END = "<|end|>"
"""What an end token is called that is given a second id."""


def tokenizer_files(tokenizer: Tokenizer, context: int, end: int | None) -> dict[str, bytes]:
    """``tokenizer.json``, which puts start and end around a text by itself, and ``tokenizer_config.json``.

    Args:
        tokenizer: To write.
        context: The longest text in tokens.
        end: The end token's id; one behind all others is a second id of the same token.
    """
    vocabulary = tokenizer.vocabulary
    backend = json.loads(tokenizer.to_json())
    names = {"pad": vocabulary.pad, "bos": vocabulary.start, "unk": vocabulary.unknown, "mask": vocabulary.mask}
    told: dict[str, Any] = {f"{name}_token": tokenizer.token(i) for name, i in names.items() if i is not None}
    if end is not None:
        told["eos_token"] = END if end == vocabulary.size else tokenizer.token(end)
    if end == vocabulary.size:
        backend["added_tokens"].append(_added(end, END))
    backend["post_processor"] = _around((told.get("bos_token"), vocabulary.start), (told.get("eos_token"), end))
    told |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context}
    return {
        "tokenizer.json": json.dumps(backend, ensure_ascii=False).encode(),
        "tokenizer_config.json": (json.dumps(told, indent=2) + "\n").encode(),
    }


def _added(number: int, content: str) -> dict[str, Any]:
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, **plain, "special": True}


def _around(start: tuple[str | None, int | None], end: tuple[str | None, int | None]) -> dict[str, Any]:
    """A template of the tokenizers library: the tokens that there are, before and after a text."""
    before, after = ([] if token is None else [_piece(token)] for token, _ in (start, end))
    single = [*before, {"Sequence": {"id": "A", "type_id": 0}}, *after]
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (start, end) if t is not None}
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}, *after]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}


def _piece(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}
