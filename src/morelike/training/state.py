"""Everything that changes while training, in one place: save it all, restore it all.

Random numbers are functions of the images seen (`rng.py`), so there is no generator state here.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer, RMSprop

from morelike.augment import Control
from morelike.config import Config, MethodConfig
from morelike.errors import UserError
from morelike.models import Networks, family
from morelike.rng import rng


class State:
    """Networks, averaged generator, both optimizers, and how far the training has come."""

    def __init__(self, config: Config[Any, Any], device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng(config.training.seed, "weights").randint(2**31)))
            networks = family(config.family).build(config)
        for network in networks:
            # Convolutions on CPUs are up to twice as fast with channels last.
            network.to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
        self.device = device
        self.networks: Networks = networks
        self.ema: nn.Module = copy.deepcopy(networks.generator).eval().requires_grad_(False)
        self.optimizers: dict[str, Optimizer] = {
            player: _optimizer(network, getattr(config.optimizer, player), device)
            for player, network in networks._asdict().items()
            if any(True for _ in network.parameters())  # the naive baseline has no opponent
        }
        self.images = 0
        """Real pictures shown: a batch per step, repeats counted."""
        self.seconds = 0.0
        """Time spent training, over all the times that this run was resumed."""
        self.best: float | None = None
        """At most so much KID x 1000 may a later checkpoint have to be the best (`keeper.py`)."""
        self.control = Control() if config.augment.target is not None else None
        """How strongly pictures are augmented, where that is moved while training."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights: float32, except in tests of the arithmetic."""
        return next(self.networks.generator.parameters()).dtype

    def modules(self) -> dict[str, nn.Module]:
        """Every network by the name it has in a checkpoint."""
        return {**self.networks._asdict(), "ema": self.ema}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a checkpoint."""
        result = {
            f"{name}.{key}": value
            for name, module in self.modules().items()
            for key, value in module.state_dict().items()
        }
        for player, optimizer in self.optimizers.items():
            for name, parameter in getattr(self.networks, player).named_parameters():
                for key, value in optimizer.state[parameter].items():
                    result[f"optimizer.{player}.{name}.{key}"] = value
        return result

    def meta(self) -> dict[str, Any]:
        """Everything else, for a checkpoint."""
        meta = {"images": self.images, "seconds": self.seconds, "best": self.best}
        # A float is written to JSON with all its digits.
        return meta | ({"augment": list(self.control)} if self.control else {})

    def restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Become the state that `tensors` and `meta` came from.

        Raises:
            UserError: if they belong to other networks.
        """
        try:
            for name, module in self.modules().items():
                module.load_state_dict(_with_prefix(tensors, f"{name}."))
            for player, optimizer in self.optimizers.items():
                saved = _with_prefix(tensors, f"optimizer.{player}.")
                _restore_optimizer(optimizer, getattr(self.networks, player), saved)
        except (RuntimeError, KeyError) as error:
            raise UserError(
                "the checkpoint's networks do not fit the configuration; "
                "resume with the configuration the run began with."
            ) from error
        self.images, self.seconds, self.best = meta["images"], meta["seconds"], meta["best"]
        if self.control is not None:
            self.control = Control(*meta["augment"])


def _optimizer(network: nn.Module, config: MethodConfig, device: torch.device) -> Optimizer:
    rate, epsilon = config.learning_rate, config.epsilon
    if config.method == "rmsprop":
        return RMSprop(network.parameters(), rate, alpha=config.beta2, eps=epsilon)
    betas, fused = (config.beta1, config.beta2), device.type in ("cpu", "cuda")
    if config.method == "adamw":
        decay = config.weight_decay
        return AdamW(network.parameters(), rate, betas, epsilon, decay, fused=fused)
    return Adam(network.parameters(), rate, betas, epsilon, fused=fused)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimizer(optimizer: Optimizer, network: nn.Module, saved: dict[str, Tensor]) -> None:
    optimizer.state.clear()
    names = dict(network.named_parameters())
    for full_name, value in saved.items():
        name, _, key = full_name.rpartition(".")
        parameter = names[name]
        if value.shape == parameter.shape:
            # Same strides as the weight, as in the optimizer's own state.
            value = torch.empty_like(parameter).copy_(value)
        optimizer.state[parameter][key] = value.detach().clone()
