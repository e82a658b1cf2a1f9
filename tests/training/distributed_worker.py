"""Takes six steps with a network free of batch norm, in float64, and saves what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from morelike.distributed import world
from morelike.models import Networks, adversarial, configure, dcgan
from morelike.training import state as state_module
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from networks import Critic


def build(config: Any) -> Networks:
    del config
    generator = nn.Sequential(nn.Linear(5, 3 * 16 * 16), nn.Tanh(), nn.Unflatten(1, (3, 16, 16)))
    discriminator = Critic(nn.Flatten(), nn.Linear(768, 7), nn.Softplus(), nn.Linear(7, 1))
    return Networks(generator, discriminator)


def main() -> None:
    family = SimpleNamespace(
        build=build,
        inputs=dcgan.inputs,
        discriminator_terms=adversarial.discriminator_terms,
        generator_terms=adversarial.generator_terms,
    )
    state_module.family = lambda name: family  # pyright: ignore[reportPrivateImportUsage]
    config = configure(
        {
            "data": {"resolution": 16, "mirror": True},
            "generator": {"latent": 5},
            # The probability moves once, by what all processes read.
            "augment": {"policy": ["ada", "cutout"], "target": 0.05, "adjust_images": 64},
            "training": {"batch": 8, "precision": "fp32", "discriminator_steps": 2},
        }
    )
    images = np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), dtype=np.uint8)
    dataset: Any = SimpleNamespace(images=images, train=np.arange(11))
    with world() as here:
        state = State(config, torch.device("cpu"))
        for network in (*state.networks, state.ema):
            network.double()
        feed = Feed(dataset, config, torch.device("cpu"))
        for _ in range(6):
            metrics = step(state, family, config, feed, here)  # pyright: ignore[reportArgumentType]
        if here.is_main:
            result = {f"metric.{name}": value.double() for name, value in metrics.items()}
            for player, network in state.networks._asdict().items():
                for name, parameter in network.named_parameters():
                    result[f"weight.{player}.{name}"] = parameter.detach().clone()
                    if parameter.grad is not None:
                        result[f"gradient.{player}.{name}"] = parameter.grad.clone()
            save_file(result, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
