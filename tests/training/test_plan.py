"""What a plan says is measured, for every family."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import morelike
from morelike.models import families
from morelike.training.memory import peak
from networks import narrow

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", [name for name in families() if name != "regressor"])
def test_every_family_can_be_planned(
    name: str, tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    data, training = {"resolution": 16}, {"batch": 4, "device": "cpu", "images": 400}
    plan = morelike.plan(source, family=name, data=data, training=training, **narrow(name))
    assert min(plan.generator_parameters, plan.discriminator_parameters) > 0
    assert plan.memory_mib > 150
    assert plan.seconds == pytest.approx(400 / plan.images_per_second, rel=0.01, abs=0.1)


def test_penalties_are_named_with_their_weights(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    source = write_pictures(tmp_path / "photos", 12)
    asked = {"data": {"resolution": 16}, "batch": 4, "device": "cpu"}
    penalty = {"r1": 0.5, "r2": 0.25, "every": 4}
    assert morelike.plan(source, penalty=penalty, **asked).penalties == penalty
    assert morelike.plan(source, "dcgan", **asked).penalties == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets earlier peaks")
def test_a_peak_is_that_of_its_block() -> None:
    with peak(CPU) as large:
        held = torch.ones(400 * 2**18)  # 400 MiB, and touched
        del held
    with peak(CPU) as small:
        pass
    assert large.mib - small.mib == pytest.approx(400, rel=0.05)
    assert small.mib > 100
