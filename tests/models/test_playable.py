"""Which objectives, penalties and networks go together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from morelike import models
from morelike.errors import UserError
from morelike.models import Networks, check_playable, configure
from morelike.settings import merge

SMALL: dict[str, Any] = {"data": {"resolution": 16, "channels": 3}}
OF_GRADIENTS = ("r1", "r2", "one_centered", "zero_centered")


def complaint(values: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check_playable(configure(merge(SMALL, values)))
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert caught.value.exit_code == 2
    return text


@pytest.mark.parametrize("penalty", OF_GRADIENTS)
@pytest.mark.parametrize("joint", [False, True])
def test_batch_norm_and_the_gradient_of_single_pictures(penalty: str, joint: bool) -> None:
    text = complaint({"penalty": {penalty: 0.1}, "objective": {"joint_batch": joint}})
    assert "dcgan" in text
    assert "batch norm" in text  # the reason
    assert penalty in text  # what to set to 0
    assert "set these penalties to 0" in text


@pytest.mark.parametrize(
    "penalty",
    [
        {},
        {"drift": 0.001},
        {"consistency": 10},
        {"clip": 0.01},
        {"drift": 1, "every": 16, "ramp": {"to": 0, "images": 10}},
        dict.fromkeys(OF_GRADIENTS, 0),
    ],
)
def test_what_looks_at_no_gradient_goes_with_batch_norm(penalty: dict[str, Any]) -> None:
    check_playable(configure(merge(SMALL, {"penalty": penalty})))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [{"resolution": 64}, {"resolution": 16, "width": 64}])
def test_every_shape_can_be_checked(channels: int, size: dict[str, int]) -> None:
    check_playable(configure({"data": {"channels": channels, **size}}))


def a_family(layer: nn.Module) -> Any:
    def build(config: Any) -> Networks:
        hidden = nn.Sequential(nn.Linear(4, 4), nn.Sequential(layer))
        return Networks(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)), hidden)

    return SimpleNamespace(build=build)


@pytest.mark.parametrize(
    ("layer", "mixes"),
    [
        (nn.BatchNorm1d(4), True),
        (nn.BatchNorm2d(4), True),
        (nn.SyncBatchNorm(4), True),
        (nn.InstanceNorm2d(4, affine=True), False),
        (nn.LayerNorm(4), False),
        (nn.GroupNorm(2, 4), False),
    ],
)
def test_it_is_the_discriminator_s_batch_norm_that_counts(
    layer: nn.Module, mixes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The generator of this family has batch norm in any case.
    monkeypatch.setattr(models, "family", lambda name: a_family(layer))
    config = configure_as_dcgan(penalty={"r1": 1.0})
    if mixes:
        with pytest.raises(UserError, match="batch norm"):
            check_playable(config)
    else:
        check_playable(config)


def configure_as_dcgan(**sections: Any) -> Any:
    from morelike.config import Config
    from morelike.models import dcgan

    model = Config[dcgan.GeneratorConfig, dcgan.DiscriminatorConfig]
    return model.model_validate({"generator": {}, "discriminator": {}, **SMALL, **sections})


def test_checking_takes_no_memory_and_disturbs_nobody_s_numbers() -> None:
    huge = {"generator": {"width": 1024}, "discriminator": {"width": 1024}}
    config = configure(merge(huge, {"data": {"resolution": 256, "channels": 3}}))
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_playable(config)  # tens of gigabytes, were they made
    assert torch.equal(torch.get_rng_state(), before)


# --- tasks ---


@pytest.mark.parametrize(
    ("task", "remedy"), [("enlarge:4", "family=enlarger"), ("colorize", "family=unet")]
)
def test_a_task_and_a_family_that_starts_from_chance(task: str, remedy: str) -> None:
    for name in ("dcgan", "style"):
        text = complaint({"family": name, "task": {"name": task}, "data": {"resolution": 64}})
        assert f"the family {name} makes pictures from chance" in text
        assert f"set {remedy}" in text


def test_a_family_that_starts_from_pictures_and_no_task() -> None:
    for name in ("enlarger", "unet"):
        text = complaint({"family": name})
        assert f"the family {name} makes pictures from other pictures" in text
        assert "--set task.name=" in text


def test_a_task_and_a_condition() -> None:
    told = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}
    unet = {"family": "unet", "task": {"name": "deblur"}}
    text = complaint({**unet, "condition": told})
    assert "condition.on=['label']; leave it out" in text
    check_playable(configure(merge(SMALL, unet)))


@pytest.mark.parametrize("change", ["color", "hue", "rotation", "fractional_translation"])
def test_what_changes_pixels_and_a_discriminator_that_sees_the_input(change: str) -> None:
    augment = {"policy": ["translation", change], "probability": 0.5}
    unet = {"family": "unet", "task": {"name": "inpaint"}, "augment": augment}
    text = complaint(unet)
    assert f"not changed by {change}" in text
    assert "set discriminator.sees_input=false" in text
    alone = merge(SMALL, unet, {"discriminator": {"sees_input": False}})
    check_playable(configure(alone))
    augment["policy"] = ["translation", "cutout", "mirror", "quarter_turns"]
    check_playable(configure(merge(SMALL, unet, {"augment": augment})))
