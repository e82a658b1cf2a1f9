from __future__ import annotations

import numpy as np
import pytest
import torch

from morelike.diagnostics.evidence import FEWEST, Evidence, Pictures
from morelike.errors import UserError


def some(count: int, height: int = 16, width: int = 16, channels: int = 3) -> Pictures:
    images = np.zeros((count, height, width, channels), np.uint8)
    images += np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Pictures(images, torch.arange(count, dtype=torch.float32)[:, None])


def test_mixed_sizes_are_named() -> None:
    with pytest.raises(UserError, match="one size") as caught:
        Evidence(some(4), some(2, 16, 24), some(20), "pixels")
    assert "16x16 with 3 channels and 24x16 with 3 channels." in str(caught.value)
    with pytest.raises(UserError, match="16x16 with 1 channels and 16x16 with 3 channels"):
        Evidence(some(4), some(0), some(20, channels=1), "pixels")


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(UserError, match=r"^15 generated pictures are too few; give 16 or more\.$"):
        Evidence(some(4), some(2), some(FEWEST - 1), "pixels")
    assert len(Evidence(some(1), some(0), some(FEWEST), "pixels").samples) == 16


@pytest.mark.parametrize("chosen", [slice(2, 4), np.array([3, 0])])
def test_pictures_and_features_are_picked_together(chosen: slice | np.ndarray) -> None:
    picked = some(6)[chosen]
    assert len(picked) == 2
    assert picked.images[:, 0, 0, 0].tolist() == picked.features[:, 0].tolist()
