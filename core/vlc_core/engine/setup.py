"""DeepSpeed around a module, in this process, without its noise and without what needs a compiler."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from vlc_core import distributed
from vlc_core.engine.lamb import Lamb
from vlc_core.errors import RecipeError

# DeepSpeed knows a few optimizers by name and asks to be told of any other. LAMB's norms are of whole parameters
# because it is told where their pieces are.
_TRUSTED = {"zero_allow_untested_optimizer": True}


def wrap(module: nn.Module, optimizer: torch.optim.Optimizer, config: Mapping[str, Any]) -> Any:
    """The DeepSpeed engine of ``module``. The process group must have been joined.

    Raises:
        RecipeError: DeepSpeed does not accept ``config``.
    """
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed|deepspeed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what DeepSpeed imports and how it calls torch
        return _wrapped(module, optimizer, config)


def _wrapped(module: nn.Module, optimizer: torch.optim.Optimizer, config: Mapping[str, Any]) -> Any:
    import deepspeed
    from deepspeed.runtime.config import DeepSpeedConfigError
    from deepspeed.runtime.zero.utils import ZeRORuntimeException
    from deepspeed.utils import logger

    from vlc_core.engine import zero

    logger.setLevel(logging.ERROR)
    # Compiled at first use on the CPU, only for an all-reduce of inference that training never calls.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(
        dist_backend=torch.distributed.get_backend(),
        auto_mpi_discovery=False,
        verbose=False,
        dist_init_required=False,
    )
    try:
        engine, *_ = deepspeed.initialize(
            model=module, optimizer=optimizer, config={**_TRUSTED, **config}, dist_init_required=False
        )
    except (ValidationError, AssertionError, DeepSpeedConfigError, ZeRORuntimeException) as error:
        raise RecipeError(f"deepspeed refuses its section of the recipe: {_one_line(error)}") from error
    if engine.zero_optimization_stage() == 0 and distributed.world() == 1:
        # There is nothing to add up, and DeepSpeed would put all gradients into one buffer and back.
        engine.enable_backward_allreduce = False
    zero.make_moments(engine)
    if isinstance(optimizer, Lamb) and engine.zero_optimization_stage() > 0:
        optimizer.take_pieces(zero.pieces(engine))
    return engine


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
