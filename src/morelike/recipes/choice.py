"""What to train with where nobody says: by how many pictures there are, on what, for how long.

The figures behind each limit are in docs/experiments/small-data.md and docs/lab-notes.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FEW = 2_000
"""Fewer pictures are learnt by heart within minutes on a GPU."""
SOON = 30.0
"""Minutes of a CPU within which thousands of pictures gain more by steps than by wide networks."""
WIDTH_SOON = 16
"""Feature maps that such pictures get at most, from 64x64 on."""
MANY = 20_000
"""As many are not learnt by heart in any time that a person waits."""
USUAL_SPREAD = 4096.0
"""The mean squared distance of two pictures of 64x64, about that of bicycles on white and of roses
(2,900 and 6,000)."""
AT_USUAL_SPREAD = {"tiny-cpu": 1.0, "modern": 1.0}
"""Weight of R1 and R2 for such pictures."""


class Situation(NamedTuple):
    """What is known before a training begins."""

    pictures: int
    """To train on."""
    height: int
    width: int
    device: str
    """cpu, cuda or mps."""
    minutes: float | None = None
    """That a person grants."""
    images: int | None = None
    """After which a person wants it to end."""
    spread: float = USUAL_SPREAD
    """Mean squared distance of two of the pictures, as vectors of values in [-1, 1]."""


class Choice(NamedTuple):
    """Where to start from, what to change in it, and why."""

    recipe: str
    settings: dict[str, Any]
    why: str


def choose(at: Situation) -> Choice:
    """The recipe for a situation, the settings to change in it, and one paragraph that says why."""
    recipe, networks = _networks(at)
    settings: dict[str, Any] = {}
    said = [networks]
    if recipe == "tiny-cpu":
        width, fewer = _width(at)
        settings |= {"generator": {"width": width}, "discriminator": {"width": width}}
        said.append(f"they have {width} maps at the finest resolution{fewer}, and the batch is 32")
    if recipe in AT_USUAL_SPREAD:
        weight = float(f"{r1_weight(recipe, at.spread):.2g}")
        settings["penalty"] = {"r1": weight, "r2": weight}
        said.append(
            f"the penalty on D's gradient weighs {weight:g}, which goes by how far pictures are "
            "apart"
        )
    if at.pictures >= MANY:
        settings["augment"] = {"policy": []}
        said.append("there is no augmentation, since so many are not learnt by heart")
    else:
        said.append("places change at random, so that D cannot learn them by heart")
    images = at.images or max(LENGTH[recipe], TIMES_SEEN * at.pictures)
    if at.minutes is None:
        settings["training"] = {"images": images}
        reason = "as you asked" if at.images else "as no --minutes are given"
        said.append(f"it ends after {images:,} pictures shown, {reason}")
    elif at.images is None:
        settings["training"] = {"images": NO_END}
        said.append(f"it ends after {_minutes(at.minutes)}")
    else:
        said.append(f"it ends after {_minutes(at.minutes)} or {images:,} pictures shown")
    return Choice(recipe, settings, f"{_facts(at)}: {'; '.join(said)}.")


def usual_resolution(side: int | None) -> int:
    """What pictures are made ready at whose shorter side usually has so many pixels: 64, or less
    where they would have to be enlarged by more than a third.
    """
    return next((size for size in (16, 32) if side is not None and side < 1.5 * size), 64)


def r1_weight(recipe: str, spread: float) -> float:
    """The weight of R1 in a recipe for pictures of this spread: in proportion to it.

    If all values of all pictures were s times as large, the gradient of one and the same judgement
    would be an s-th, and its square an s^2-th; so the same restraint takes s^2 times the weight, as
    the squared distance grows. With k times as many pixels of the same kind it is k times as much,
    as in Karras et al. 2020 ("Training GANs with Limited Data", arXiv 2006.06676, appendix C), who
    go by pixels; but gray pictures have a third of the values, and faces differ by less than roses.
    docs/families.md has what was measured.
    """
    return AT_USUAL_SPREAD[recipe] * max(spread, LEAST_SPREAD) / USUAL_SPREAD


LEAST_SPREAD = 1.0
"""Pictures that hardly differ must not turn the penalty off."""
LENGTH = {"tiny-cpu": 500_000, "small": 1_000_000, "modern": 2_000_000}
NO_END = 10**9
TIMES_SEEN = 40
"""Pictures shown where no minutes are given: so many in all, and each at least so often."""


def narrow_width(height: int, width: int) -> int:
    """Feature maps at the finest resolution, where each step has to be cheap: half as many where
    pictures are twice as large, so that a step takes about twice as long.
    """
    return max(8, min(64, 32 * 64 // min(height, width)))


def _width(at: Situation) -> tuple[int, str]:
    """Feature maps at the finest resolution, and why they are fewer than usual where they are.

    Half of them make steps almost twice as fast. At 64x64 that is what thousands of pictures want
    within half an hour; of a few dozen or hundred the details are better with all. At 32x32, where
    steps are cheap, nothing was gained for sure.
    """
    usual = narrow_width(at.height, at.width)
    many = at.pictures >= FEW and min(at.height, at.width) >= 64
    soon = at.minutes is not None and at.minutes <= SOON
    if at.device == "cpu" and many and soon and usual > WIDTH_SOON:
        return WIDTH_SOON, ", fewer than usual as pictures are many for the time"
    return usual, ""


def _networks(at: Situation) -> tuple[str, str]:
    if at.device != "cuda":
        return "tiny-cpu", (
            "the recipe tiny-cpu, small networks and a relativistic loss, since without a GPU the "
            "number of steps decides"
        )
    if at.pictures < FEW:
        return "small", (
            "the recipe small, a FastGAN, whose D has to draw real pictures again and so looks at "
            "all of them"
        )
    return "modern", "the recipe modern, an R3GAN, which goes on gaining where pictures are many"


def _facts(at: Situation) -> str:
    device = {"cuda": "a GPU", "cpu": "a CPU"}.get(at.device, at.device.upper())
    time = "" if at.minutes is None else f" and {_minutes(at.minutes)}"
    return f"Chosen for {at.pictures:,} pictures of {at.width}x{at.height}, {device}{time}"


def _minutes(count: float) -> str:
    return "1 minute" if count == 1 else f"{count:g} minutes"
