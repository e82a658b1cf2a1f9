"""With training.same_fakes, G's pictures are made once a step, and the step is what it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from morelike.distributed import World
from morelike.models import configure, families, family
from morelike.models.adversarial import Sight
from morelike.settings import merge
from morelike.training.feed import Feed
from morelike.training.state import State
from morelike.training.step import step
from networks import narrow

CPU = torch.device("cpu")
PICTURES: Any = SimpleNamespace(
    images=np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8),
    train=np.arange(20),
)
PLAYING = [name for name in families() if name != "regressor"]


def trained(name: str, steps: int = 3, **sections: Any) -> State:
    """A state in float64, after some steps with the same fakes in both turns."""
    chosen = family(name)
    base = {
        "family": name,
        "data": {"resolution": 16, "channels": 3, "mirror": False},
        "augment": {"policy": ["color", "translation"]},
        "training": {"batch": 6, "device": "cpu", "precision": "fp32", "same_fakes": True},
    }
    config = configure(merge(base, narrow(name), sections))
    state = State(config, CPU)
    for module in state.modules().values():
        module.double()
    feed = Feed(PICTURES, config, CPU)
    for _ in range(steps):
        step(state, chosen, config, feed, World())
    return state


def weights(state: State) -> list[torch.Tensor]:
    return [p.detach().clone() for network in state.networks for p in network.parameters()]


@pytest.mark.parametrize("name", PLAYING)
@pytest.mark.parametrize("accumulation", [1, 2])
def test_what_is_kept_is_what_would_be_made_again(
    name: str, accumulation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = {"accumulation": accumulation, "discriminator_steps": 2}
    once = weights(trained(name, training=training))
    made = Sight._made

    def again(self: Sight) -> Any:
        if self.batch.kept:
            self.batch.kept.clear()
        return made(self)

    monkeypatch.setattr(Sight, "_made", again)
    twice = weights(trained(name, training=training))
    for one, other in zip(once, twice, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("same", "passes"), [(False, 6), (True, 3)])
def test_the_generator_works_once_a_step(
    same: bool, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0
    call = nn.Module.__call__

    def counted(self: nn.Module, *given: Any, **named: Any) -> Any:
        nonlocal count
        count += type(self).__module__.endswith("dcgan") and type(self).__name__ == "Generator"
        return call(self, *given, **named)

    monkeypatch.setattr(nn.Module, "__call__", counted)
    state = trained("dcgan", training={"same_fakes": same})
    assert count == passes
    assert state.images == 18


def test_it_is_another_training_than_with_new_fakes() -> None:
    same, new = (
        weights(trained("dcgan", steps=1, training={"same_fakes": asked}))
        for asked in (True, False)
    )
    assert any(not torch.equal(one, other) for one, other in zip(same, new, strict=True))
