"""What a penalty on D's gradient costs: steps of a recipe, by how its R1 and R2 are taken.

    python benchmarks/penalty_speed.py                                      # tiny-cpu
    python benchmarks/penalty_speed.py --recipe benchmarks/recipes/r3gan-tiny.toml
    python benchmarks/penalty_speed.py --recipe cifar10-modern --device cuda --batch 512

In every step exactly, which needs second derivatives; exactly in each fourth and each 16th step; by
differences, which need none; and not at all. These are different algorithms: what each is worth has
to be asked of the pictures that it leads to in the same time (docs/performance.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from interleaved import SAME, interleave, options, peaks, report
from morelike import recipes
from training_speed import STEPS, gflop, morelike

STEP = 0.1
"""Of differences."""
LAZY = 16
EXACT: dict[str, Any] = {"every": 1, "difference": None}
WAYS: dict[str, dict[str, Any]] = {
    "exact, each 4th step": {"every": 4, "difference": None},
    f"exact, each {LAZY}th step": {"every": LAZY, "difference": None},
    "differences": {"every": 1, "difference": STEP},
    "none": {"r1": 0.0, "r2": 0.0, "difference": None},
}


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--recipe", default="tiny-cpu", help="a name, or a TOML file")
    parser.add_argument("--batch", type=int, default=32)
    asked = parser.parse_args()
    recipe = recipes.find(asked.recipe)
    data = {"channels": 3, "mirror": False}
    base = {"data": data, "training": {"batch": asked.batch, "precision": "bf16"}}
    steps = max(LAZY, STEPS[asked.device.type] // LAZY * LAZY)
    every = [recipe.values(), base]
    sides = {
        f"{name}, images/s": partial(morelike, asked.device, steps, *every, {"penalty": how})
        for name, how in {"exact": EXACT, "exact again": EXACT, **WAYS}.items()
    }
    measured = interleave(sides, asked.blocks, peaks(asked.device))
    exact = "exact, images/s"
    peak = measured.peak("convolution, bf16, GFLOP/s")
    cost, without = (gflop(*every, {"penalty": how}) for how in (EXACT, WAYS["none"]))
    done = cost * measured.speed(exact)
    report(
        f"penalty_speed-{recipe.name}",
        measured,
        {
            SAME: measured.ratio("exact again, images/s", exact),
            **{f"{name} to exact": measured.ratio(f"{name}, images/s", exact) for name in WAYS},
        },
        asked,
        {
            "GFLOP a picture": f"{cost:.3g} exact, {without:.3g} without",
            "of a bf16 convolution's peak, exact": f"{done / peak:.0%}",
        },
    )


if __name__ == "__main__":
    main()
