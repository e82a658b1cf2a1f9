"""Samples made of others: layer by layer, half of each, or by arithmetic."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.errors import UserError
from morelike.explore.effects import Ruler, ruler
from morelike.explore.found import Found, folder_for, write
from morelike.explore.opened import Opened, Progress, opened, quiet
from morelike.explore.paths import Parts, between, parts
from morelike.pictures import to_rgb
from morelike.rng import rng
from morelike.seeds import check_seeds
from morelike.sheet import Row, sheet
from morelike.space import Points, joined

MOST = 16
"""Rows, columns, or members of a group."""
BLOCKS = ("coarse", "middle", "fine")
COARSE = 32
"""Light and colour are compared at no more than so many places along each side."""
NEIGHBOURS, NEAR = 8, 0.25
"""How many are shown beside the result of arithmetic, and how far away, in standard deviations of
each number: as Radford et al. 2015, whose latents were from [-1, 1], their noise from
[-0.25, 0.25]."""
OTHERS = 128
"""Samples whose change is compared with that of arithmetic."""
SHARES = (
    "Left the sample of the row's seed, above that of the column's. {what} Figures: of all that "
    "differs within the grid, how many percent the row's seed explains, the column's, and only "
    "both together."
)
STYLES = "Each picture has the named layers from its column and all others from its row."
HALVES = "Each picture lies half-way between the two in the space z."
ARITHMETIC = (
    "The first column is the sum, in latents: the mean of group a, less that of b, plus that of c. "
    "Beside each mean are the samples it is of, beside the result what is near it. Changes are of "
    "features, 1 is as far as from one sample to another."
)
Grid = tuple[list[int], list[int]]
Groups = tuple[list[int], list[int], list[int]]


class Shares(NamedTuple):
    """Of what differs within a grid, who decides it; the three add up to 1."""

    row: float
    column: float
    rest: float
    """What neither decides alone: their interaction."""

    def facts(self) -> dict[str, float]:
        """Ready for JSON."""
        return {name: round(value, 4) for name, value in self._asdict().items()}

    def __str__(self) -> str:
        """In percent."""
        return f"row {self.row:.0%}, column {self.column:.0%}, both {self.rest:.0%}"


class Mixture(NamedTuple):
    """One way to mix rows with columns."""

    name: str
    layers: tuple[int, int] | None
    """First and last that are the column's."""
    points: Points
    """R * C, row by row."""


def mix(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
    layers: tuple[int, int] | None = None,
    a: Sequence[int] | None = None,
    b: Sequence[int] | None = None,
    c: Sequence[int] | None = None,
    rescale: bool = True,
    checkpoint: str | int = "best",
    features: str = "random",
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Progress = quiet,
) -> Found:
    """Mix samples: a grid of rows and columns, or the arithmetic a - b + c.

    With a space W (family style) there is a grid for coarse, one for middle and one for fine
    layers: these are those of the column's seed, all others those of the row's (Karras et al. 2019,
    figure 3). Without, the grid is of what lies half-way between the two.

    Arithmetic is that of Radford et al. 2015, section 6.3.2: mean(a) - mean(b) + mean(c), in w
    where there is one, else in z.

    Writes `mix.png` and `mix.json`.

    Args:
        path: a run folder or a shared generator.
        out: where results go; `explore/mix` in `path`, if not given.
        rows: seeds, at most 16; 0 to 4, if nothing is given.
        columns: seeds, at most 16; 5 to 10, if nothing is given.
        layers: one grid only, with these layers from the column: the first and the last, from 0,
            which is the coarsest.
        a: seeds of a group, at most 16; with b and c, and in place of rows and columns.
        b: those whose mean is taken away.
        c: those to whose mean the difference is added.
        rescale: bring means in z to the length that their members have, and the result to that of
            c's. A mean of many is near 0, where no samples are.
        checkpoint: best, latest or a number of images seen.
        features: the extractor, see `morelike.features`.
        weights: its weights, if it needs any.
        device: auto, cpu, cuda, cuda:N or mps.
        progress: told (pictures made, pictures in all).

    Raises:
        UserError: for seeds that make up neither a grid nor three groups, layers that there are
            not, or no usable generator.
    """
    seeds = _seeds(rows, columns, layers, (a, b, c))
    model = opened(path, checkpoint, device)
    by = ruler(model, model.extractor(features, weights))
    about = {**model.about(), "space": model.space.name, "extractor": by.look.name}
    if len(seeds) == 2:
        facts, page, lines = _grids(model, by, seeds, layers, progress)
    else:
        facts, page, lines = _arithmetic(model, by, seeds, rescale, progress)
    folder = folder_for(path, "mix", out)
    return write(folder, "mix", {**about, **facts}, {"mix": page}, lines=lines)


def _seeds(
    rows: Sequence[int] | None,
    columns: Sequence[int] | None,
    layers: tuple[int, int] | None,
    groups: tuple[Sequence[int] | None, Sequence[int] | None, Sequence[int] | None],
) -> Grid | Groups:
    """Rows and columns, or the three groups."""
    a, b, c = groups
    seeds: Grid | Groups
    if a is None and b is None and c is None:
        seeds = (
            check_seeds(range(5) if rows is None else rows),
            check_seeds(range(5, 11) if columns is None else columns),
        )
    elif rows is not None or columns is not None or layers is not None:
        raise UserError(
            "arithmetic takes --a, --b and --c, a grid --rows, --columns and --from-layer; give "
            "either."
        )
    elif a is None or b is None or c is None:
        raise UserError("a - b + c needs three groups of seeds; give --a, --b and --c.")
    else:
        seeds = check_seeds(a), check_seeds(b), check_seeds(c)
    most = max(map(len, seeds))
    if most > MOST:
        raise UserError(f"{most} seeds are too many; a row, column or group has at most {MOST}.")
    return seeds


# Grids --------------------------------------------------------------------------------------------


def shares(seen: Tensor) -> Shares | None:
    """Two-way analysis of variance of (R, C, F), one observation for each cell, as shares of the
    total sum of squares (Fisher 1925, "Statistical Methods for Research Workers", chapter VIII):

        sum |x_rc - m|^2 = C sum |m_r - m|^2 + R sum |m_c - m|^2 + sum |x_rc - m_r - m_c + m|^2

    with m_r, m_c and m the means of rows, columns and all, and squares summed over F. None if
    nothing differs.
    """
    x = seen.double()
    x = x - x.mean((0, 1))
    total = float(x.square().sum())
    if not total > 1e-12 * x.numel():
        return None
    row = x.shape[1] * float(x.mean(1).square().sum()) / total
    column = x.shape[0] * float(x.mean(0).square().sum()) / total
    return Shares(row, column, max(0.0, 1 - row - column))


def by_chance(rows: int, columns: int) -> Shares | None:
    """Shares of a grid whose cells have nothing to do with their row and column, on average: those
    of the degrees of freedom. None for a single cell.
    """
    total = rows * columns - 1
    if not total:
        return None
    return Shares((rows - 1) / total, (columns - 1) / total, (rows - 1) * (columns - 1) / total)


def blocks(layers: int) -> dict[str, tuple[int, int]]:
    """The first and the last of coarse, middle and fine layers, from 0, the coarsest.

    They are thirds, the first of them the largest: at 64 pixels those that end at 8, at 32, and
    the others. Karras et al. 2019 have them end at 8 and 32 of 1024 pixels.
    """
    thirds = np.array_split(np.arange(layers), len(BLOCKS))
    return {n: (int(t[0]), int(t[-1])) for n, t in zip(BLOCKS, thirds, strict=True) if len(t)}


def styled(one: Points, other: Points, layers: int, part: tuple[int, int]) -> Points:
    """W for each layer, (N, layers, D): that of `other` for the part's layers, else that of `one`,
    of which the noise is, too.
    """
    number = torch.arange(layers, device=one.values.device)[:, None]
    others = (number >= part[0]) & (number <= part[1])
    return one.at(torch.where(others, other.values[:, None], one.values[:, None]))


def _mixtures(
    model: Opened, rows: Points, columns: Points, layers: tuple[int, int] | None
) -> list[Mixture]:
    """What is shown of each row with each column."""
    first, last = np.divmod(np.arange(len(rows.values) * len(columns.values)), len(columns.values))
    one, other = rows.rows(first.tolist()), columns.rows(last.tolist())
    if model.space.name != "w":
        if layers is not None:
            raise UserError(
                "only the family style has layers that can be mixed; leave out --from-layer."
            )
        has = parts(model.generator.config, model.space)
        return [Mixture("half", None, between(one, other, [0.5] * len(first), has, "slerp"))]
    network: Any = model.generator.network
    count = len(network.layers) + 1  # the last colours have their own
    if layers is not None and not 0 <= layers[0] <= layers[1] < count:
        raise UserError(
            f"there are no layers {layers[0]}:{layers[1]}; the generator has 0:{count - 1}, from "
            "the coarsest to the finest."
        )
    chosen = blocks(count) if layers is None else {"chosen": layers}
    return [Mixture(name, p, styled(one, other, count, p)) for name, p in chosen.items()]


def _grids(
    model: Opened, by: Ruler, seeds: Grid, layers: tuple[int, int] | None, progress: Progress
) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    rows, columns = (model.points(some) for some in seeds)
    mixtures = _mixtures(model, rows, columns, layers)
    images = model.show(joined([one.points for one in mixtures]), progress)
    size = images.shape[1:]
    mixed = images.reshape(len(mixtures), len(seeds[0]), len(seeds[1]), *size)
    figures = [_figures(by, one) for one in mixed]
    chance = by_chance(*map(len, seeds))
    facts = {
        "rows": seeds[0],
        "columns": seeds[1],
        "by_chance": None if chance is None else chance.facts(),
        "grids": [
            {
                "name": one.name,
                "layers_of_column": None if one.layers is None else list(one.layers),
                "shares": {k: None if v is None else v.facts() for k, v in found.items()},
            }
            for one, found in zip(mixtures, figures, strict=True)
        ],
    }
    beside, above = model.show(rows), model.show(columns)
    listed: list[Row] = []
    lines: list[str] = []
    for one, found, pictures in zip(mixtures, figures, mixed, strict=True):
        name = one.name if one.layers is None else f"{one.name} layers, {_span(one.layers)}"
        words = [f"{key}: {_percent(value)}" for key, value in found.items()]
        listed.append(
            Row([name, "row / column / both", *words], [np.full_like(above[0], 255), *above])
        )
        for seed, first, others in zip(seeds[0], beside, pictures, strict=True):
            listed.append(Row([f"seed {seed}"], [first, *others]))
        lines += [f"{name}: {key}: {value}" for key, value in found.items() if value is not None]
    if chance is not None:
        lines.append(f"by chance: {chance}")
    styles = mixtures[0].layers is not None
    title = f"{model.generator.name}: {'styles mixed' if styles else 'half of each'}"
    note = SHARES.format(what=STYLES if styles else HALVES)
    if chance is not None:
        note += f" If it were chance: {_percent(chance)}."
    header = ["", *(f"seed {seed}" for seed in seeds[1])]
    return facts, sheet(title, listed, note, header), lines


def _figures(by: Ruler, grid: np.ndarray) -> dict[str, Shares | None]:
    """Who decides what, of a grid (R, C, H, W, C) uint8."""
    flat = grid.reshape(-1, *grid.shape[2:])
    whole = torch.from_numpy(to_rgb(flat)).permute(0, 3, 1, 2).float() / 255
    height, width = (min(COARSE, side) for side in whole.shape[2:])
    x = torch.nn.functional.adaptive_avg_pool2d(whole, (height, width))
    light = x.mean(1, keepdim=True)
    kinds = {"features": by.look(flat), "light": light, "colour": x - light}
    return {name: shares(seen.reshape(*grid.shape[:2], -1)) for name, seen in kinds.items()}


def _span(layers: tuple[int, int]) -> str:
    return f"{layers[0]} to {layers[1]}" if layers[0] != layers[1] else f"{layers[0]}"


def _percent(found: Shares | None) -> str:
    return "all alike" if found is None else " / ".join(f"{100 * share:.0f}" for share in found)


# Arithmetic ---------------------------------------------------------------------------------------


class Sum(NamedTuple):
    """A - b + c, and what it is of: single points each."""

    means: tuple[Points, Points, Points]
    result: Points


def summed(groups: Sequence[Points], has: Parts, *, rescale: bool) -> Sum:
    """mean(a) - mean(b) + mean(c) of values and conditions; noise is that of each group's first,
    and the result's that of c's.

    Args:
        groups: a, b and c, any number of points each.
        has: what the points consist of.
        rescale: bring the latents of each mean to the mean length of those of its group, and the
            result's to that of c's. The result's direction is the same without.
    """
    plain = [_mean(group, has) for group in groups]
    a, b, c = plain
    rest = tuple(
        x - y + z if number < has.conditions else z
        for number, (x, y, z) in enumerate(zip(a.rest, b.rest, c.rest, strict=True))
    )
    result = Points(a.values - b.values + c.values, rest)
    if rescale and has.latents:
        plain = [_as_long(p, group, has) for p, group in zip(plain, groups, strict=True)]
        result = _as_long(result, groups[-1], has)
    return Sum((plain[0], plain[1], plain[2]), result)


def _mean(group: Points, has: Parts) -> Points:
    rest = tuple(
        part.mean(0, keepdim=True) if number < has.conditions else part[:1]
        for number, part in enumerate(group.rest)
    )
    return Points(group.values.mean(0, keepdim=True), rest)


def _as_long(point: Points, group: Points, has: Parts) -> Points:
    """Its latents at the mean length of the group's; a mean of one stays as it is."""
    if len(group.values) == 1 and torch.equal(point.values, group.values):
        return point
    latents, codes = point.values[:, : has.latents], point.values[:, has.latents :]
    length = group.values[:, : has.latents].norm(dim=1).mean()
    scaled = latents * (length / latents.norm().clamp_min(1e-12))
    return point.at(torch.cat([scaled, codes], 1))


def _nearby(model: Opened, result: Points, has: Parts) -> Points:
    """The neighbours of a point: noise on its latents, or on all of w."""
    spread = model.points(range(OTHERS)).values.std(0) * NEAR
    if has.latents:
        spread[has.latents :] = 0
    numbers = rng(0, "explore", "mix").standard_normal((NEIGHBOURS, len(spread)))
    same = result.rows([0] * NEIGHBOURS)
    return same.at(same.values + torch.from_numpy(numbers).float().to(spread) * spread)


def _arithmetic(
    model: Opened, by: Ruler, seeds: Groups, rescale: bool, progress: Progress
) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    has = parts(model.generator.config, model.space)
    groups = [model.points(some) for some in seeds]
    found = summed(groups, has, rescale=rescale)
    nearby = _nearby(model, found.result, has)
    images = model.show(joined([*found.means, found.result, nearby]), progress)
    members = [model.show(group) for group in groups]
    facts = {
        **dict(zip("abc", seeds, strict=True)),
        "rescaled": bool(rescale and has.latents),
        "unit": "mean distance of two samples",
        **_carried(model, by, images),
    }
    words = _words(facts)
    names = ("mean of a", "- mean of b", "+ mean of c")
    rows = [
        Row([name, f"seeds {', '.join(map(str, some))}"], [images[number], *pictures])
        for number, (name, some, pictures) in enumerate(zip(names, seeds, members, strict=True))
    ]
    rows.append(Row(["= a - b + c", *words], list(images[len(names) :])))
    title = f"{model.generator.name}: arithmetic in the space {model.space.name}"
    header = ["sum", "samples of the groups; at the end, from near the result"]
    return facts, sheet(title, rows, ARITHMETIC, header), words


def _carried(model: Opened, by: Ruler, images: np.ndarray) -> dict[str, float | None]:
    """Whether c changed as b does to a, by features: of pictures of the three means, the result and
    its neighbours.
    """
    seen = by.look(images).double()
    a, b, c, result = seen[:4]
    others = by.look(model.show(model.points(range(OTHERS)))).double()
    asked, got = a - b, result - c
    cosine = torch.nn.functional.cosine_similarity
    moved = bool(asked.norm() > 1e-6 * by.unit)
    chance = cosine(others - c, asked[None]).mean()
    return {
        "asked": round(float(asked.norm()) / by.unit, 4),
        "change": round(float(got.norm()) / by.unit, 4),
        "cosine": round(float(cosine(got, asked, dim=0)), 4) if moved else None,
        "cosine_by_chance": round(float(chance), 4) if moved else None,
        "neighbours": round(float((seen[4:] - result).norm(dim=1).mean()) / by.unit, 4),
    }


def _words(facts: dict[str, Any]) -> list[str]:
    """The figures of arithmetic for a person."""
    words = [
        f"b to a is a change of {facts['asked']:.2f}, c to the result of {facts['change']:.2f}"
    ]
    if facts["cosine"] is not None:
        words.append(
            f"alike by a cosine of {facts['cosine']:.2f} (from c to any sample "
            f"{facts['cosine_by_chance']:.2f})"
        )
    return words
