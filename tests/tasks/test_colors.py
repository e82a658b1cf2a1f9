from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from morelike.tasks.colors import luma, on_colors, with_alpha


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def test_luma_is_pillow_s() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    expected = np.asarray(Image.fromarray(colors).convert("L"))
    found = luma(torch.from_numpy(colors).permute(2, 0, 1)[None].double() / 127.5 - 1)
    assert (found[0, 0].numpy() + 1) * 127.5 == pytest.approx(expected.astype(float), abs=0.51)
    assert luma(column(1, 1, 1)).item() == pytest.approx(1)
    assert torch.equal(luma(column(0.3)), column(0.3))


def mean(values: Tensor) -> Tensor:
    return values.mean(3, keepdim=True)


def test_what_is_hidden_does_not_bleed() -> None:
    seen, hidden = column(1, -1, 0.5, 1), column(-1, 1, 1, -1)
    found = with_alpha(torch.cat([seen, hidden], 3), mean)
    assert found.flatten().tolist() == pytest.approx([1, -1, 0.5, 0])
    # Half as opaque, half as much.
    found = with_alpha(torch.cat([column(1, 1, 1, 1), column(0, -1, 0, 0)], 3), mean)
    assert found.flatten().tolist() == pytest.approx([2 / 3, 1 / 3, 2 / 3, 0.5])


def test_where_nothing_can_be_seen_the_colour_is_black() -> None:
    found = with_alpha(torch.cat([column(1, 0.2, 1, -1)] * 2, 3), mean)
    assert found.flatten().tolist() == [-1, -1, -1, -1]


@pytest.mark.parametrize("channels", [1, 3])
def test_without_an_alpha_channels_are_changed_as_they_are(channels: int) -> None:
    pictures = torch.rand(2, channels, 3, 4)
    assert torch.equal(with_alpha(pictures, mean), mean(pictures))
    assert torch.equal(on_colors(pictures, mean), mean(pictures))


def test_changes_of_colours_leave_the_alpha_alone() -> None:
    pictures = torch.rand(2, 4, 3, 4)
    found = on_colors(pictures, torch.neg)
    assert torch.equal(found, torch.cat([-pictures[:, :3], pictures[:, 3:]], 1))
