"""The verdict on a run with a task: whether it is better than what needs no learning."""

from __future__ import annotations

import os
import time
from pathlib import Path

from morelike.diagnostics.finding import Figure, Finding, Panel, State
from morelike.enhance.score import NAMES, NETWORK, Progress, Scored, quiet, score
from morelike.evaluate.verdict import Verdict
from morelike.pictures import read_png
from morelike.runs import is_run, open_run
from morelike.version import __version__

DECIDES = "feature_distance"
"""PSNR is highest for a blur, and SSIM is not far from it."""
WORDS: dict[str, tuple[str, State]] = {
    "better": ("BETTER", "yes"),
    "worse": ("WORSE", "no"),
    "not told apart": ("UNKNOWN", "unknown"),
}


def has_task(path: Path) -> bool:
    """Whether this is a run folder whose pictures are made from pictures."""
    return is_run(path) and bool(open_run(path).config().get("task", {}).get("name"))


def verdict_of_task(
    path: str | os.PathLike[str],
    *,
    checkpoint: str | int = "best",
    count: int = 256,
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Verdict:
    """What `enhance.score` finds on held-out pictures, as a verdict; its word is that of the
    feature distance: BETTER than the best of what needs no learning, WORSE, or UNKNOWN.

    Raises:
        UserError: as `enhance.score.score` does.
    """
    began = time.perf_counter()
    found = score(
        path,
        checkpoint=checkpoint,
        count=count,
        features=features,
        weights=weights,
        data=data,
        device=device,
        progress=progress,
    )
    word, state = WORDS[found.facts["figures"][DECIDES]["verdict"]]
    finding = Finding(
        "fidelity",
        state,
        f"{'; '.join(found.lines)}.",
        word=word,
        figures=tuple(_figures(found)),
        panels=(Panel("Some of them", ("",), (read_png(found.files["score.png"])[None],)),),
    )
    return Verdict(
        subject=found.facts["run"],
        words=(word,),
        findings=(finding,),
        extractor=found.facts["feature_network"],
        counts={found.facts["which"].replace("-", "_"): found.facts["pictures"]},
        checkpoint=found.facts["checkpoint"],
        notices=(),
        seconds=time.perf_counter() - began,
        version=__version__,
    )


def _figures(found: Scored) -> list[Figure]:
    figures = []
    for name, one in found.facts["figures"].items():
        best, apart = one["best_baseline"], one["difference"]
        note = f"{best} has {one['mean'][best]:.4g}"
        figures.append(Figure(NAMES[name], one["mean"][NETWORK], note=note))
        less = f"{NAMES[name]}, less that of {best}"
        figures.append(Figure(less, apart["value"], apart["low"], apart["high"]))
    return figures
