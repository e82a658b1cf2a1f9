"""How good is it, and is it better than what needs no learning? On pictures it never saw."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike import files, pictures
from morelike.data import Dataset
from morelike.data.item import Rejection
from morelike.devices import pick_device
from morelike.enhance.baselines import OF_TRAINING, baselines
from morelike.enhance.given import given
from morelike.enhance.model import Model, of_run
from morelike.errors import UserError
from morelike.features import Extractor, extractor, features_of
from morelike.features.perceptual import Perceptual, perceptual
from morelike.metrics.fidelity import feature_distance, psnr, ssim
from morelike.metrics.kernel import KernelDistance, kid_interval
from morelike.metrics.resampling import bootstrap
from morelike.pictures import from_uint8, to_image, to_uint8
from morelike.reopened import dataset_of
from morelike.rng import SeedDraws, rng
from morelike.runs import cannot_write, is_run, open_run
from morelike.sampling import LICENCE_NOTE, TrainedGenerator, load
from morelike.sheet import Row, sheet
from morelike.tasks import Task

CPU = torch.device("cpu")
MOST, CHUNK = 256, 8
SEEDS_FROM = 2_000_000
"""Seeds of samples, those of the other measures."""
MOST_REAL = 2_000
FEWEST = 4
"""Pictures below which a KID has no error."""
DRAWS = 1000
MOST_DECIBELS = 60.0
"""Nobody sees what is beyond, and for equal pictures it would be infinite."""
NAMES = {"psnr": "PSNR in dB", "ssim": "SSIM", "feature_distance": "feature distance"}
SHOWN, SIDE = 6, 128
NETWORK = "network"

Progress = Callable[[int, int], None]
"""Told (pictures done, pictures in all)."""


def quiet(done: int, total: int) -> None:
    """Tells nobody."""


class Scored(NamedTuple):
    """What was found, and where it lies."""

    folder: Path
    files: dict[str, Path]
    facts: dict[str, Any]
    """What figures.json holds."""
    lines: tuple[str, ...]
    """The same for a person, in a few sentences."""


class _Measure(NamedTuple):
    """How near what was made is to the truth."""

    key: str
    """In `NAMES`, and in figures.json."""
    more_is_better: bool
    of: Callable[[Tensor, Tensor], Tensor]
    """(B, C, H, W) twice, in [-1, 1] -> (B,)."""


class _Made(NamedTuple):
    """What was made of the same inputs in several ways."""

    inputs: Tensor
    """(N, c, h, w) in [-1, 1], of 8 bits."""
    ways: dict[str, np.ndarray]
    """(N, H, W, C) uint8 by name: the baselines, then the network."""


def score(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    from_run: str | os.PathLike[str] | None = None,
    count: int = MOST,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    data: str | None = None,
    device: str = "auto",
    precision: str = "fp32",
    progress: Progress = quiet,
) -> Scored:
    """Measure a run with a task on its held-out pictures, beside what needs no learning.

    The inputs are derived as in training, of whole pictures, and rounded to 8 bits as files are; so
    are the results. PSNR, SSIM and feature distance of each way, and the difference of the network
    from the best other way, with its 95 % bootstrap interval over pictures; KID to the held-out
    pictures, beside that of these pictures themselves. Writes `score.png` and `figures.json`.

    Args:
        path: a run folder.
        out: where results go; `enhance/score` in the run, if not given.
        from_run: a generator whose samples are taken as inputs besides. They have no truth, so what
            is made of them is measured by KID to the run's pictures. Writes `samples.png` as well.
        count: held-out pictures, and samples, at most.
        checkpoint: best, latest or a number of images seen.
        features: the extractor of KID; and of the feature distance, if it is random or of timm,
            which else is by random.
        weights: its weights, if it needs any.
        data: where the training pictures are now, if not where they were.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: fp32, bf16 or auto.
        progress: told about pictures.

    Raises:
        UserError: if the folder is no run with a task, its pictures are gone, or it can do nothing
            with samples.
    """
    if count < 2:
        raise UserError(f"--count must be at least 2, not {count}.")
    model = of_run(path, checkpoint, device=device, precision=precision)
    if not is_run(Path(path)):
        raise UserError(
            f"{path} is a shared generator, without the pictures that it was trained on; give the "
            "run folder."
        )
    place = pick_device(device)
    own = None if weights is None else Path(weights)
    look = extractor(features, own, place)
    is_deep = features == "random" or features.startswith("timm:")
    deep = (perceptual(features, own) if is_deep else perceptual()).to(place)
    generator = None if from_run is None else load(Path(from_run), device=device)
    dataset = dataset_of(open_run(path), data)
    kind, places = "held-out", dataset.held_out
    if not len(places):
        kind, places = "training", dataset.train
    chosen = _some(places, count, "measured")
    total = len(chosen) + (0 if generator is None else count)
    made, truth = _of_pictures(model, dataset, chosen, lambda done: progress(done, total))
    what = f"{len(chosen)} {kind} pictures"
    figures, lines = _fidelity(made.ways, truth, _measures(deep, place), what)
    distances, more = _distances(made.ways, truth, look, what, themselves=True)
    facts: dict[str, Any] = {
        **model.notes,
        "data": dataset.digest,
        "pictures": len(chosen),
        "which": kind,
        "extractor": look.name,
        "feature_network": deep.name,
        "figures": figures,
        "kid_x_1000": distances,
    }
    sheets = {"score": _sheet(model, made, truth, figures)}
    lines += more
    if kind == "training":
        lines.append("No pictures were held out, so all this is of pictures that it learnt from.")
    if generator is not None:
        done = len(chosen)
        samples = _of_samples(model, generator, count, lambda n: progress(done + n, total))
        real = _real(dataset, model)
        what = f"{count} samples of {generator.name} to {len(real)} real pictures"
        distances, more = _distances(samples.ways, real, look, what)
        facts["samples"] = {
            "run": generator.name,
            "checkpoint": generator.checkpoint,
            "count": count,
            "real": len(real),
            "kid_x_1000": distances,
        }
        sheets["samples"] = _sheet_of_samples(model, generator, samples, distances)
        lines += more
    folder = Path(path, "enhance", "score") if out is None else Path(out)
    return Scored(folder, _written(folder, facts, sheets, model), facts, tuple(lines))


def _of_pictures(
    model: Model, dataset: Dataset, chosen: np.ndarray, tell: Callable[[int], None]
) -> tuple[_Made, np.ndarray]:
    """What is made of the inputs of these pictures, and the truth (N, H, W, C) uint8."""
    inputs, made, truth = [], [], []
    for start in range(0, len(chosen), CHUNK):
        some = from_uint8(dataset.images[chosen[start : start + CHUNK]], CPU)
        pair = _task(model).pair(some, SeedDraws(range(start, start + len(some)), CPU))
        inputs.append(_rounded(pair.input, model))
        truth.append(to_uint8(pair.target))
        made.append(_by_network(model, inputs[-1], truth[-1]))
        tell(start + len(some))
    train = None
    if model.task in OF_TRAINING and len(dataset.train):
        train = dataset.images[
            np.sort(rng(0, "score", "mean").permutation(dataset.train)[:MOST_REAL])
        ]
    whole = torch.cat(inputs)
    ways = baselines(model.task, whole, model.scale, model.gives, train)
    return _Made(whole, {**ways, NETWORK: np.concatenate(made)}), np.concatenate(truth)


def _of_samples(
    model: Model, generator: TrainedGenerator, count: int, tell: Callable[[int], None]
) -> _Made:
    """What is made of samples."""
    inputs, made = [], []
    for chunk in generator.chunks(range(SEEDS_FROM, SEEDS_FROM + count)):
        try:
            shown = [given(to_image(sample), model) for sample in chunk]
        except Rejection as rejection:
            raise UserError(
                f"samples of {generator.name} are nothing that {model.name} ({model.task}) can "
                f"start from: {rejection}."
            ) from None
        values = torch.stack([one.prepare(one.values) for one in shown])
        inputs.append(values)
        made += [_by_network(model, some, None) for some in values.split(CHUNK)]
        tell(sum(map(len, inputs)))
    whole = torch.cat(inputs)
    ways = baselines(model.task, whole, model.scale, model.gives)
    return _Made(whole, {**ways, NETWORK: np.concatenate(made)})


def _some(places: np.ndarray, most: int, purpose: str) -> np.ndarray:
    return np.sort(rng(0, "score", purpose).permutation(places)[:most])


def _task(model: Model) -> Task:
    assert model.learnt is not None, "a run knows its task"
    return model.learnt


def _rounded(inputs: Tensor, model: Model) -> Tensor:
    """As it would be in a file of 8 bits."""
    rounded = from_uint8(to_uint8(inputs), CPU)
    if model.task != "inpaint":
        return rounded
    return torch.cat([rounded[:, :-1] * (inputs[:, -1:] < 0), inputs[:, -1:]], 1)


def _by_network(model: Model, inputs: Tensor, truth: np.ndarray | None) -> np.ndarray:
    """What the network makes; of inpaint, what is there stays, as it does in files."""
    height, width = inputs.shape[2:]
    more = (0, -width % model.stride, 0, -height % model.stride)
    made = model.network(torch.nn.functional.pad(inputs, more, "replicate"))
    pixels = to_uint8(made[:, :, : model.scale * height, : model.scale * width])
    if model.task != "inpaint" or truth is None:
        return pixels
    return np.where(inputs[:, -1, :, :, None].numpy() > 0, pixels, truth)


def _real(dataset: Dataset, model: Model) -> np.ndarray:
    """Pictures of the run, those that it was trained on as well: ways to enlarge the same samples
    are compared by them, not what is new in these.
    """
    everything = np.concatenate([dataset.held_out, dataset.train])
    real = dataset.images[_some(everything, MOST_REAL, "real")]
    return real[:, :, real.shape[2] // 2 :] if _task(model).halves else real


# Figures


def _measures(deep: Perceptual, device: torch.device) -> list[_Measure]:
    def apart(made: Tensor, truth: Tensor) -> Tensor:
        maps = (deep.maps(each.to(device)) for each in (made, truth))
        return feature_distance(*maps).cpu()

    def decibels(made: Tensor, truth: Tensor) -> Tensor:
        return psnr(made, truth).clamp(max=MOST_DECIBELS)

    return [
        _Measure("psnr", True, decibels),
        _Measure("ssim", True, ssim),
        _Measure("feature_distance", False, apart),
    ]


@torch.no_grad()
def _values(measure: _Measure, made: np.ndarray, truth: np.ndarray) -> Tensor:
    """(N,) float64."""
    found = []
    for start in range(0, len(made), CHUNK):
        some = slice(start, start + CHUNK)
        found.append(measure.of(from_uint8(made[some], CPU), from_uint8(truth[some], CPU)))
    return torch.cat(found).double()


def _fidelity(
    ways: Mapping[str, np.ndarray], truth: np.ndarray, measures: Sequence[_Measure], what: str
) -> tuple[dict[str, Any], list[str]]:
    """Each measure of each way, and what of that to tell."""
    figures, lines = {}, []
    for measure in measures:
        values = {name: _values(measure, made, truth) for name, made in ways.items()}
        means = {name: each.mean().item() for name, each in values.items()}
        sign = 1 if measure.more_is_better else -1
        rival = max((name for name in ways if name != NETWORK), key=lambda n: sign * means[n])
        apart = (values[NETWORK] - values[rival])[:, None]
        found = bootstrap(lambda x: x.mean().item(), apart, seed=0, count=DRAWS)
        word = _word(
            sign * found.low > 0 < sign * found.high, sign * found.low < 0 > sign * found.high
        )
        figures[measure.key] = {
            "mean": {name: round(mean, 5) for name, mean in means.items()},
            "best_baseline": rival,
            "difference": {key: round(each, 5) for key, each in found._asdict().items()},
            "verdict": word,
        }
        lines.append(
            f"{NAMES[measure.key]} {means[NETWORK]:.3g} on {what}, {rival} {means[rival]:.3g}: "
            f"{word}, 95 % interval of the difference {found.low:.2g} to {found.high:.2g}"
        )
    return figures, lines


def _word(is_better: bool, is_worse: bool) -> str:
    return "better" if is_better else "worse" if is_worse else "not told apart"


def _distances(
    ways: Mapping[str, np.ndarray],
    real: np.ndarray,
    look: Extractor,
    what: str,
    themselves: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """KID x 1000 of each way to real pictures, and what of that to tell. Where these are the very
    truth, their own KID is not 0, so it stands beside the others.
    """
    if min(len(real), *map(len, ways.values())) < FEWEST:
        return {}, [f"KID needs {FEWEST} pictures or more."]
    reference = features_of(look, real)
    found = {name: kid_interval(look(made), reference) for name, made in ways.items()}
    own = found[NETWORK]
    rival = min((each for name, each in found.items() if name != NETWORK), key=lambda x: x.value)
    word = _word(own.high < rival.low, own.low > rival.high)
    if themselves:
        found["the pictures themselves"] = kid_interval(reference, reference)
    facts = {name: _thousandfold(each) for name, each in found.items()}
    told = ", ".join(
        f"{name} {_short(facts[name]['value'])} ({_short(facts[name]['low'])} to "
        f"{_short(facts[name]['high'])})"
        for name in (NETWORK, *(name for name in facts if name != NETWORK))
    )
    line = f"KID x 1000 of {what}, by {look.name}: {told}: {word}"
    return {"figures": facts, "verdict": word}, [line]


def _thousandfold(found: KernelDistance) -> dict[str, float]:
    return {key: round(1000 * getattr(found, key), 3) for key in ("value", "low", "high")}


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# Sheets


def _sheet(model: Model, made: _Made, truth: np.ndarray, figures: Mapping[str, Any]) -> np.ndarray:
    rows = [Row(["input"], _inputs_shown(made.inputs, model))]
    for name, way in made.ways.items():
        words = [f"{NAMES[key]} {one['mean'][name]:.3g}" for key, one in figures.items()]
        rows.append(Row([name, *words], list(way[_shown(len(way))])))
    rows.append(Row(["truth"], list(truth[_shown(len(truth))])))
    note = "Means over all pictures measured, of which some are shown."
    return sheet(f"{model.name}: {model.task}", rows, note, side=SIDE)


def _sheet_of_samples(
    model: Model, generator: TrainedGenerator, made: _Made, distances: Mapping[str, Any]
) -> np.ndarray:
    rows = [Row(["sample"], _inputs_shown(made.inputs, model))]
    for name, way in made.ways.items():
        found = distances.get("figures", {}).get(name)
        words = [f"KID x 1000: {_short(found['value'])}"] if found else []
        rows.append(Row([name, *words], list(way[_shown(len(way))])))
    note = "KID x 1000 to the run's pictures. What is in a sample, the network cannot know better."
    return sheet(f"{model.name}: {model.task} of {generator.name}", rows, note, side=SIDE)


def _shown(count: int) -> np.ndarray:
    """Which pictures a sheet shows: some, spread evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, SHOWN)).round().astype(np.int64))


def _inputs_shown(inputs: Tensor, model: Model) -> list[np.ndarray]:
    """Some inputs, each pixel as large as on the results; holes are gray."""
    some = inputs[torch.from_numpy(_shown(len(inputs)))]
    if model.task == "inpaint":
        some = some[:, :-1]
    pixels = to_uint8(some)
    return list(pixels.repeat(model.scale, 1).repeat(model.scale, 2))


def _written(
    folder: Path, facts: Mapping[str, Any], sheets: Mapping[str, np.ndarray], model: Model
) -> dict[str, Path]:
    notes = {"Software": "morelike", **model.notes, "licence": LICENCE_NOTE}
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, each in sheets.items():
            written[f"{name}.png"] = folder / f"{name}.png"
            pictures.write_png(written[f"{name}.png"], each, notes)
        written["figures.json"] = folder / "figures.json"
        files.write_json(written["figures.json"], facts)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return written
