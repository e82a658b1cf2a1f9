"""When training cannot go on: one sentence that says what happened, what is kept, what helps."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from morelike.config import Config
from morelike.data import Dataset
from morelike.distributed import World
from morelike.errors import TrainingFailure
from morelike.models import family
from morelike.runs import Run
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import NotFinite, step


@contextmanager
def explained(
    run: Run, config: Config[Any, Any], dataset: Dataset, device: torch.device
) -> Iterator[None]:
    """Turn what can go wrong inside the block into a `TrainingFailure` with one sentence."""
    try:
        yield
    except NotFinite as error:
        raise TrainingFailure(
            f"{error}; {_kept(run)}. Try a lower optimizer.{error.player}.learning_rate, "
            "or --set training.precision=fp32."
        ) from error
    except OSError as error:
        raise TrainingFailure(f"{_what_failed(run, error)}; {_kept(run)}.") from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size = largest_that_fits(
            config, lambda smaller: try_step(smaller, dataset, device), config.training.batch // 2
        )
        raise TrainingFailure(f"{_memory_advice(config, device, size)} {_kept(run)}.") from error


def _kept(run: Run) -> str:
    checkpoints = run.checkpoints.all()
    if not checkpoints:
        return "there is no checkpoint yet"
    return f"the checkpoint at {checkpoints[-1].images} images in {run.path} is kept"


def _what_failed(run: Run, error: OSError) -> str:
    where = error.filename or run.path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({where}); make room and go on with --resume {run.path}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} cannot be written to; give yourself the right to, and go on with --resume"
    return f"reading or writing {where} failed: {error.strerror or error}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is some device's way to say that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def largest_that_fits(
    config: Config[Any, Any], attempt: Callable[[Config[Any, Any]], None], size: int
) -> int | None:
    """The largest of `size`, size/2, size/4, ... pictures at a time for which `attempt` does not
    run out of memory.
    """
    while size >= 1:
        training = config.training.model_copy(update={"batch": size, "accumulation": 1})
        try:
            attempt(config.model_copy(update={"training": training}))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            size //= 2
        else:
            return size
    return None


def try_step(config: Config[Any, Any], dataset: Dataset, device: torch.device) -> None:
    """Take a step of a new training, and forget it."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    state = State(config, device)
    step(state, family(config.family), config, Feed(dataset, config, device), World())


def _memory_advice(config: Config[Any, Any], device: torch.device, size: int | None) -> str:
    batch = config.training.batch
    if size is None:
        return (
            f"out of memory on {device}: not even one picture at a time fits; "
            "lower generator.width, discriminator.width or data.resolution."
        )
    return (
        f"out of memory on {device} with batch {batch}: batch {size} fits; use "
        f"--set training.batch={size}, or --set training.accumulation={-(-batch // size)} to keep "
        f"batch {batch} in smaller parts."
    )
