"""The momentum side of a model: twins of its towers, and the queues of what they gave.

Shapes: N items, L tokens, K places, D embedding width.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from torch import Tensor, nn

from vlc_core import distributed
from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import Needs
from vlc_core.model.towers import Features, Tower, Towers
from vlc_core.momentum import FeatureQueue, MomentumTwin


class Twins(nn.Module):
    """Twins of both towers and of the fusion encoder where it is used, and a queue for each modality.

    Args:
        towers: What they follow.
        needs: Says whether tokens, local embeddings and fusion are asked of them.
        momentum: How much of itself a twin keeps in a step.
        queue: K, for each modality.
        draws: Which of ``image`` and ``text`` draw dropout of their own.
    """

    def __init__(
        self, towers: Towers, needs: Needs, *, momentum: float, queue: int, draws: Collection[str] = ("text",)
    ) -> None:
        super().__init__()
        self.image = MomentumTwin(towers.image, momentum, draws="image" in draws)
        self.text = MomentumTwin(towers.text, momentum, draws="text" in draws)
        self.fusion = MomentumTwin(towers.fusion, momentum, draws="text" in draws) if needs.fusion else None
        for tower in (cast(Tower, self.image.copied), cast(Tower, self.text.copied)):
            tower.returns_local = needs.locals
            tower.encoder.returns_tokens = needs.locals or needs.fusion
        dim = towers.image.embed_dim
        self.image_queue, self.text_queue = FeatureQueue(queue, dim), FeatureQueue(queue, dim)

    def fuse(self, text: Features, image: Features) -> Encoded:
        """Texts and images read together by the twin of the fusion encoder."""
        assert self.fusion is not None  # built with what the needs name
        fused: Encoded = self.fusion(text.encoded, image.encoded)
        return fused

    def remember(self, image: Tensor, text: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Queues the features (N, D) of a batch, those of all ranks.

        Args:
            image: This rank's.
            text: This rank's.
            labels: (N,) int64.
            groups: (N,) int64.
        """
        if self.image_queue.size == 0:
            return
        every = [distributed.gather(x.detach()) for x in (image, text, labels, groups)]
        self.image_queue.push(every[0], every[2], every[3])
        self.text_queue.push(every[1], every[2], every[3])
