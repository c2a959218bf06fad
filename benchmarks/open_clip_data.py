"""open_clip's own training transform and data pipeline, beside a build of torch that torchvision does not fit.

Both are Python: torchvision's transforms for Pillow's images, and the webdataset library. What they import and never
call (compiled operators, other data sets, pandas) is replaced by empty modules.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from open_clip_shim import part
from PIL import Image, ImageFilter
from torch import Tensor

Transform = Callable[[Image.Image], Tensor]
PEERS = "torchvision webdataset==0.2.86 braceexpand ftfy wcwidth regex"


@cache
def torchvision_transforms() -> Any:
    """The module ``torchvision.transforms`` without the package around it.

    Raises:
        SystemExit: torchvision is not installed.
    """
    if "torchvision" not in sys.modules:
        spec = importlib.util.find_spec("torchvision")
        if spec is None or spec.origin is None:
            raise SystemExit(f"a peer is missing: pip install --no-deps --target PEERS {PEERS}; PYTHONPATH=PEERS")
        package = ModuleType("torchvision")
        package.__path__ = [str(Path(spec.origin).parent)]
        sys.modules["torchvision"] = package
    return importlib.import_module("torchvision.transforms")


@cache
def training_transform(size: int) -> Transform:
    """What open_clip trains on by default: a random crop to ``size``, as a normalised tensor."""
    torchvision_transforms()
    transform: Transform = part("transform").image_transform(size, is_train=True)
    return transform


@cache
def from_tar(size: int) -> Callable[[bytes], Tensor]:
    """The same transform on what open_clip's pipeline for tars decodes."""
    decode = importlib.import_module("webdataset.autodecode").ImageHandler("pilrgb")
    transform = training_transform(size)
    return lambda file: transform(decode(".jpg", file))


@cache
def strong_transform(size: int) -> Transform:
    """The published augmentation of TCL but for RandAugment, out of torchvision's parts."""
    parts = torchvision_transforms()
    transform: Transform = parts.Compose(
        [
            parts.RandomResizedCrop(size, scale=(0.2, 1.0), interpolation=parts.InterpolationMode.BICUBIC),
            parts.RandomApply([parts.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            parts.RandomGrayscale(p=0.2),
            parts.RandomApply([_blur], p=0.5),
            parts.RandomHorizontalFlip(),
            parts.ToTensor(),
            parts.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ]
    )
    return transform


def _blur(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


@cache
def tokenizer() -> Callable[[str], Tensor]:
    """open_clip's own, with its usual context of 77."""
    made: Callable[[str], Tensor] = part("tokenizer").SimpleTokenizer()
    return made


def batches(shards: str, *, size: int, batch_size: int, samples: int, workers: int = 0) -> Iterable[Any]:
    """The loader that open_clip's training command makes for tars.

    Args:
        shards: A path with a brace range.
        size: Of the crops, in pixels.
        batch_size: Pairs in a batch.
        samples: How many make an epoch.
        workers: Processes.
    """
    torchvision_transforms()
    args = SimpleNamespace(
        train_data=shards,
        dataset_resampled=True,
        train_num_samples=samples,
        train_data_upsampling_factors=None,
        seed=0,
        batch_size=batch_size,
        workers=workers,
        world_size=1,
    )
    with _stubs("pandas", "torchvision.datasets"):
        data = importlib.import_module("open_clip_train.data")
    loader: Iterable[Any] = data.get_wds_dataset(args, training_transform(size), True, tokenizer=tokenizer()).dataloader
    return loader


@contextmanager
def _stubs(*names: str) -> Iterator[None]:
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
