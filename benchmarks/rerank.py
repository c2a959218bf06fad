"""What a matching objective adds to contrast: retrieval before and after it sorts the first candidates again.

For each run, on drawn scenes that training has not seen: recall of the first before and after, and of what the
objective's scores of every scene beside every scene's caption are made, as shares of their variance: of the caption
alone, of the picture alone, and of both together, which is all that tells pairs from others.

    python benchmarks/rerank.py runs/tcl-quick runs/tcl-shapes
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from vlc_core.inference import Inference
from vlc_plugin_data.shapes.dataset import Shapes
from vlc_plugin_eval.rerank import Rerank
from vlc_plugin_eval.retrieval import Retrieval

RECALLS = tuple(f"{lead}{way}_recall@1" for way in ("i2t", "t2i") for lead in ("", "reranked_"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--objective", default="itm")
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--top", type=int, default=16)
    options = parser.parse_args()
    scenes = Shapes(split="train", seed=1, size=64, length=options.scenes, labelled=False)
    again = Rerank(objective=options.objective, top=options.top)
    for run in options.runs:
        model = Inference.load(run)
        found = Retrieval(data=scenes, rerank=again).evaluate(model).metrics
        scores = all_scores(model, options.objective, scenes)
        print(f"{run}: {options.scenes} scenes, first {options.top} read again")
        print("  recall of the first: " + ", ".join(f"{name} {100 * found[name]:.1f} %" for name in RECALLS))
        print(
            "  the scores vary by " + ", ".join(f"{name} {100 * part:.0f} %" for name, part in shares(scores).items())
        )
        print(f"  a caption's own scene before another: {100 * told_apart(scores):.1f} %", flush=True)


def all_scores(model: Inference, objective: str, scenes: Shapes) -> Tensor:
    """(N, N): each scene beside the first caption of each."""
    texts = [scenes.texts(index)[0] for index in range(len(scenes))]
    every = torch.arange(len(scenes))
    logits = model.judge(objective, scenes, texts, torch.cartesian_prod(every, every))
    return (logits[:, 1] - logits[:, 0]).view(len(scenes), -1)


def shares(scores: Tensor) -> dict[str, float]:
    """The parts of the variance of (picture, caption) scores that are of either alone and of both."""
    centred = scores.double() - scores.double().mean()
    caption, picture = centred.mean(dim=0, keepdim=True), centred.mean(dim=1, keepdim=True)
    parts = {"caption": caption, "picture": picture, "both": centred - caption - picture}
    return {
        name: float(part.expand_as(centred).square().mean() / centred.square().mean()) for name, part in parts.items()
    }


def told_apart(scores: Tensor) -> float:
    """How often a caption scores higher with its own picture than with another."""
    wins = (scores.diag()[None, :] > scores).double()
    return float(wins.sum() / (len(scores) * (len(scores) - 1)))


if __name__ == "__main__":
    main()
