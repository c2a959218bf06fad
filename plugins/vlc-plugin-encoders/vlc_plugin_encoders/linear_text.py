"""One embedding per known text.

Shapes: N texts, L tokens, W width.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, final

from pydantic import Field
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded, TextEncoder, Vocabulary
from vlc_plugin_encoders.text_transformer import mean


@final
class LinearText(TextEncoder):
    """A table with a row per id, averaged over a text's ids: no language is understood.

    With the tokenizer ``whole-text``, its default, each text of the training data has a row of its own, which is the
    usual classifier's weight vector for it; with ``word`` it is a bag of words. Source: UniCL, CVPR 2022, the
    ablation of the language encoder.
    """

    default_tokenizer: ClassVar[str] = "whole-text"

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        width: Annotated[int, Field(gt=0)] = 512,
        context: Annotated[int, Field(gt=0)] = 77,
    ) -> None:
        """Makes the table.

        Args:
            vocabulary: Of the tokenizer.
            width: Channels of a row.
            context: The longest text in tokens; ``whole-text`` uses one.
        """
        super().__init__()
        self.width, self.context = width, context
        self.leading_tokens = 0 if vocabulary.start is None else 1
        self.table = nn.Embedding(vocabulary.size, width)
        nn.init.normal_(self.table.weight, std=1.0)

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """Looks ``tokens`` (N, L) up; a text without a token gives a vector of zeros."""
        x_NLW = self.table(tokens)
        summary_NW = mean(x_NLW, mask)
        return Encoded(summary_NW, x_NLW, mask) if self.returns_tokens else Encoded(summary_NW)
