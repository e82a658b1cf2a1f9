"""Are features had at the speed of their network? Pictures (uint8, 64x64, in memory) to features,
beside the bare network on tensors that are ready for it, in the layout that suits it better.

    python benchmarks/features_speed.py
    python benchmarks/features_speed.py --extractor timm:mobilenetv2_100 --weights its.safetensors
    python benchmarks/features_speed.py --device cuda
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from interleaved import SAME, Side, finished, interleave, options, peaks, report
from morelike.features import extractor
from morelike.features.extractor import BATCH

COUNT, SIDE = 256, 64
LAST = "network, channels last, images/s"


def ours(name: str, weights: Path | None, device: torch.device) -> Side:
    """Pictures a second, with all that an extractor does: sizes, colours, batches."""
    look = extractor(name, weights, device=str(device))
    images = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)

    def run() -> float:
        began = time.perf_counter()
        look(images)
        return COUNT / (time.perf_counter() - began)

    return run


def network(name: str, weights: Path | None, device: torch.device, *, last: bool) -> Side:
    """The same of the network alone, in the extractor's batches."""
    look = extractor(name, weights, device=str(device)).look
    laid = torch.channels_last if last else torch.contiguous_format
    ready = look.prepare(torch.rand(BATCH, 3, SIDE, SIDE, device=device) * 255)
    ready = ready.contiguous(memory_format=laid)
    bare = look.network.to(memory_format=laid)

    @torch.inference_mode()
    def run() -> float:
        began = time.perf_counter()
        for _ in range(COUNT // BATCH):
            bare(ready)
        finished(device)
        return COUNT / (time.perf_counter() - began)

    return run


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--extractor", default="random", help="a name (random)")
    parser.add_argument("--weights", type=Path, help="its file, safetensors")
    asked = parser.parse_args()
    what = asked.extractor, asked.weights, asked.device
    sides = {
        "features, images/s": partial(ours, *what),
        "features again, images/s": partial(ours, *what),
        "network, images/s": partial(network, *what, last=False),
        LAST: partial(network, *what, last=True),
    }
    measured = interleave(sides, asked.blocks, peaks(asked.device))
    mine = "features, images/s"
    report(
        f"features_speed-{asked.extractor.replace(':', '-')}",
        measured,
        {
            SAME: measured.ratio("features again, images/s", mine),
            "features to network": measured.ratio(mine, LAST),
            "network, channels last, to as it is": measured.ratio(LAST, "network, images/s"),
        },
        asked,
    )


if __name__ == "__main__":
    main()
