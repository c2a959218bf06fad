"""Who judges fused pairs: the objectives of a finished model, or those of a model in training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.inference.dual_encoder import DualEncoder
from vlc_core.interfaces.objective import Objective
from vlc_core.model.judging import Look, Pairs, judge
from vlc_core.model.towers import Towers
from vlc_core.nearest import did_you_mean


class Judges(ABC):
    """Objectives that tell classes of pairs, by name."""

    @abstractmethod
    def find(self, name: str) -> Objective:
        """The objective of that name.

        Raises:
            RecipeError: There is none, it tells no classes of pairs, or nothing fuses pairs.
        """

    @abstractmethod
    def run(self, name: str, pairs: Pairs, look: Look | None = None) -> Tensor:
        """What :func:`vlc_core.model.judging.judge` gives."""


@final
class SavedJudges(Judges):
    """Those that were saved beside a finished model.

    Args:
        model: The model.
        home: Its model folder; None where there is none on disk.
        given: Objectives that are already there.
    """

    def __init__(self, model: DualEncoder, home: Path | None = None, given: dict[str, Objective] | None = None) -> None:
        self._model, self._home = model, home
        self._found = dict(given or {})

    def find(self, name: str) -> Objective:
        check_fusion(self._model.towers)
        if name not in self._found and self._home is not None:
            from vlc_core.model.learned import load_learned  # it reads the registry, which few evaluators need
            from vlc_core.plugins import plugins

            model = self._model
            loaded = load_learned(self._home, [name], plugins().registry, model.towers, model.tokenizer)
            self._found |= {key: objective.to(model.device) for key, objective in loaded.items()}
        return checked(name, self._found.get(name), self._names())

    def run(self, name: str, pairs: Pairs, look: Look | None = None) -> Tensor:
        objective, towers = self.find(name), self._model.towers
        with _tokens(towers):
            return judge(towers, objective, pairs.to(self._model.device), look)

    def _names(self) -> Iterable[str]:
        from vlc_core.model.learned import learned_names

        return {*self._found, *(learned_names(self._home) if self._home is not None else ())}


def check_fusion(towers: Towers) -> None:
    """Refuses a model that reads no pairs.

    Raises:
        RecipeError: It has no fusion encoder.
    """
    if not hasattr(towers, "fusion"):
        raise RecipeError(
            "this model reads no text and image together: it has no fusion encoder; train one with model.fusion and an "
            "objective such as itm"
        )


def checked(name: str, objective: Objective | None, known: Iterable[str]) -> Objective:
    """``objective``, if it is there and tells classes of pairs.

    Raises:
        RecipeError: It is not, or does not.
    """
    if objective is None:
        names = sorted(known)
        hint = did_you_mean(name, names) or ";"
        raise RecipeError(
            f"this model has learned no objective called {name!r}{hint} it has {', '.join(names) or 'none'}"
        )
    if type(objective).judge is Objective.judge:
        raise RecipeError(f"the objective {name!r} tells no classes of pairs: name one that does, such as itm")
    return objective


@contextmanager
def _tokens(towers: Towers) -> Iterator[None]:
    """Encoders give their tokens for as long as this lasts."""
    encoders = [towers.image.encoder, towers.text.encoder]
    before = [encoder.returns_tokens for encoder in encoders]
    for encoder in encoders:
        encoder.returns_tokens = True
    try:
        yield
    finally:
        for encoder, said in zip(encoders, before, strict=True):
            encoder.returns_tokens = said
