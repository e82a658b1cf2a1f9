"""How long the measures of `metrics/` take on large sets, in how much memory, and against others.

    OMP_NUM_THREADS=2 python benchmarks/metrics_speed.py                 10,000 x 2,048 features
    python benchmarks/metrics_speed.py --rows 2000 --size 512 --without-others

Two sets of float32 features, drawn from a seed and shaped as trained networks' are: rectified, with
a few strong directions and a long tail of weak ones. Each measure runs in a process of its own, so
that its peak memory is its own; memory is the peak beyond what the features themselves and the
packages take. Where torch-fidelity or prdc has the same measure, theirs runs on the same features
between two runs of ours (ours, theirs, ours), so that a machine that slows down slows both; the
ratio is theirs by the mean of ours, and the figures are compared. Beside the seconds that passed
stand those that cores worked, which other work on the machine moves less. torch-fidelity's FID
includes its statistics, its KID is of 100 subsets of 1,000.

"all together" is all that a report asks for, in one process: FID, KID with interval and subsets,
precision to rarity, Vendi, five nearest, authenticity, copying and MiFID.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.metrics.frechet import frechet_distance
from morelike.metrics.kernel import kid_interval, kid_interval_and_subsets, kid_permutations
from morelike.metrics.manifold import manifold
from morelike.metrics.memorization import authentic, authenticity, copying, mifid, nearest
from morelike.metrics.vendi import vendi_score
from morelike.rng import rng

Figures = dict[str, float]
SUBSETS, SUBSET_SIZE = 100, 1_000
DIRECTIONS = 64


def features(rows: int, size: int, seed: int, scale: float = 1.0) -> Tensor:
    """(rows, size) float32, at least 0: strong directions that both sets share, and a tail."""
    shared, own = rng(0, "directions"), rng(seed, "features")
    falling = np.arange(1, DIRECTIONS + 1) ** -0.7
    directions = (falling[:, None] * shared.standard_normal((DIRECTIONS, size))).astype(np.float32)
    found = own.standard_normal((rows, DIRECTIONS)).astype(np.float32) @ directions
    found += 0.5 * own.standard_normal((rows, size)).astype(np.float32)
    return torch.from_numpy(scale * found).relu()


def ours_fid(a: Tensor, b: Tensor) -> Figures:
    """FID."""
    return {"fid": frechet_distance(a, b)}


def ours_kid(a: Tensor, b: Tensor) -> Figures:
    """KID of all rows with its interval, and of subsets, in one pass."""
    numbers = np.random.RandomState(0)
    whole, subsets = kid_interval_and_subsets(a, b, numbers, min(SUBSET_SIZE, len(a)), SUBSETS)
    return {"kid": whole.value, "kid_error": whole.standard_error, "kid_subsets": subsets.mean}


def ours_kid_interval(a: Tensor, b: Tensor) -> Figures:
    """KID with its interval alone."""
    return {"kid": kid_interval(a, b).value}


def ours_permutations(a: Tensor, b: Tensor) -> Figures:
    """KID of 200 exchanges."""
    return {"chance": kid_permutations(a, b, 200, rng(0, "permutations")).std().item()}


def ours_manifold(a: Tensor, b: Tensor) -> Figures:
    """Precision, recall, density, coverage, and realism and rarity of each row."""
    found = manifold(a, b)
    return {
        name: getattr(found, name) for name in ("precision", "recall", "density", "coverage")
    } | {"realism": found.realism.median().item()}


def ours_vendi(a: Tensor, b: Tensor) -> Figures:
    """Vendi score, of one set."""
    return {"vendi": vendi_score(b - a.mean(dim=0))}


def ours_nearest(a: Tensor, b: Tensor) -> Figures:
    """The five nearest pictures of each sample."""
    return {"nearest": nearest(b, a, 5).distance.mean().item()}


def ours_authenticity(a: Tensor, b: Tensor) -> Figures:
    """Share of new pictures."""
    return {"authenticity": authenticity(b, a)}


def ours_copying(a: Tensor, b: Tensor) -> Figures:
    """Whether samples keep to one half of the pictures."""
    found = copying(b, a[::2], a[1::2], rng(0, "copying"))
    return {"exchange_z": found.exchange_z}


def ours_mifid(a: Tensor, b: Tensor) -> Figures:
    """MiFID, with the FID that it needs."""
    return {"mifid": mifid(b, a)}


def ours_together(a: Tensor, b: Tensor) -> Figures:
    """All that a report asks for; what one measure found out is told to the next."""
    found = ours_fid(a, b) | ours_kid(a, b) | ours_manifold(a, b) | ours_vendi(a, b)
    neighbours = nearest(b, a, 5)
    found["authenticity"] = authentic(b, a, neighbours).double().mean().item()
    return found | ours_copying(a, b) | {"mifid": mifid(b, a, frechet=found["fid"])}


def fidelity_fid(a: Tensor, b: Tensor) -> Figures:
    """FID by torch-fidelity."""
    from torch_fidelity import metric_fid as theirs

    statistics = [theirs.fid_features_to_statistics(x) for x in (a, b)]
    found = theirs.fid_statistics_to_metric(*statistics, verbose=False)
    return {"fid": found[theirs.KEY_METRIC_FID]}


def fidelity_kid(a: Tensor, b: Tensor) -> Figures:
    """KID of subsets by torch-fidelity."""
    from torch_fidelity import metric_kid as theirs

    found = theirs.kid_features_to_metric(
        a,
        b,
        kid_subsets=SUBSETS,
        kid_subset_size=min(SUBSET_SIZE, len(a)),
        rng_seed=0,
        verbose=False,
    )
    return {"kid_subsets": found[theirs.KEY_METRIC_KID_MEAN]}


def prdc_manifold(a: Tensor, b: Tensor) -> Figures:
    """Precision, recall, density, coverage by prdc."""
    import prdc

    return prdc.compute_prdc(a.numpy(), b.numpy(), nearest_k=5)


Measure = Callable[[Tensor, Tensor], Figures]
MEASURES: dict[str, tuple[Measure, Measure | None]] = {
    "FID": (ours_fid, fidelity_fid),
    "KID, interval and subsets": (ours_kid, fidelity_kid),
    "KID, interval only": (ours_kid_interval, None),
    "KID, 200 exchanges": (ours_permutations, None),
    "precision ... rarity": (ours_manifold, prdc_manifold),
    "Vendi": (ours_vendi, None),
    "nearest 5": (ours_nearest, None),
    "authenticity": (ours_authenticity, None),
    "copying": (ours_copying, None),
    "MiFID": (ours_mifid, None),
    "all together": (ours_together, None),
}
"""Ours, and another's."""


def peak() -> float:
    """The most memory that this process has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def child(name: str, theirs: bool, rows: int, size: int) -> None:
    """One measure in this process; prints its figures, seconds and memory."""
    warnings.simplefilter("ignore")
    measure = MEASURES[name][theirs]
    assert measure is not None
    a, b = features(rows, size, 1), features(rows, size, 2, 1.1)
    if theirs:
        # What is loaded at the first call is not the measure's time.
        measure(a[:SUBSET_SIZE, :64], b[:SUBSET_SIZE, :64])
    else:
        torch.linalg.eigvalsh(a[:64, :64].double() @ a[:64, :64].double().T)
    before, worked, start = peak(), time.process_time(), time.perf_counter()
    figures = measure(a, b)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    found = {"seconds": seconds, "core_seconds": worked, "megabytes": peak() - before}
    print(json.dumps({"figures": figures} | found))


def run(name: str, theirs: bool, rows: int, size: int) -> dict[str, Any]:
    """One measure in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(rows), "--size", str(size), "--child", name]
    ended = subprocess.run(
        command + ["--theirs"] * theirs, capture_output=True, text=True, check=True
    )
    return json.loads(ended.stdout.splitlines()[-1])


def compare(name: str, rows: int, size: int, others: bool) -> dict[str, Any]:
    """A line of the table."""
    ours = [run(name, False, rows, size)]
    line: dict[str, Any] = {"name": name, "figures": ours[0]["figures"]}
    if others and MEASURES[name][1] is not None:
        theirs = run(name, True, rows, size)
        ours.append(run(name, False, rows, size))
        for key in ("seconds", "core_seconds"):
            line[f"theirs_{key}"] = theirs[key]
            line[f"ratio_of_{key}"] = theirs[key] / float(np.mean([one[key] for one in ours]))
        line["theirs_megabytes"] = theirs["megabytes"]
        line["largest_relative_difference"] = max(
            abs(line["figures"][key] / value - 1) for key, value in theirs["figures"].items()
        )
    for key in ("seconds", "core_seconds"):
        line[key] = float(np.mean([one[key] for one in ours]))
    line["megabytes"] = max(one["megabytes"] for one in ours)
    return line


def shown(line: dict[str, Any]) -> str:
    """The line for a person."""
    text = f"{line['name']:26s} {line['seconds']:6.1f} s, {line['core_seconds']:6.1f} core s,"
    text += f" {line['megabytes']:5.0f} MB"
    if "ratio_of_seconds" in line:
        text += f" | theirs {line['theirs_seconds']:6.1f} s, {line['theirs_core_seconds']:6.1f} "
        text += f"core s, {line['theirs_megabytes']:5.0f} MB | theirs by ours "
        text += f"{line['ratio_of_seconds']:.2f}, of core s {line['ratio_of_core_seconds']:.2f}"
        text += f" | differ {line['largest_relative_difference']:.0e}"
    return text


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds and memory of the measures.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=2_048)
    parser.add_argument("--without-others", action="store_true", help="ours alone")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--theirs", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.theirs, options.rows, options.size)
        return
    load = os.getloadavg()[0]
    threads = torch.get_num_threads()
    print(f"{options.rows} x {options.size}, {threads} threads, load before {load:.1f}", flush=True)
    lines = []
    for name in MEASURES:
        lines.append(compare(name, options.rows, options.size, not options.without_others))
        print(shown(lines[-1]), flush=True)
    results = {
        "rows": options.rows,
        "size": options.size,
        "threads": threads,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "measures": lines,
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
