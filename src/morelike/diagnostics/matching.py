"""Where a picture may come from: the training picture that explains it best.

The middle of a picture is looked for in every training picture, at any place up to an eighth of the
side away, and mirrored. First by a descriptor fitted to the set, in which what all its pictures
have in common counts for nothing; then the few best are aligned to a fraction of a pixel (Lucas &
Kanade 1981) and compared by what the picture leaves unexplained of the training picture's light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from morelike.data.likeness import WHOLE, look, luma_chroma
from morelike.pictures import to_rgb

MARGIN = 1 / 8
"""What is left of a picture at each side, and how far its middle is looked for."""
CELLS = 8
"""Descriptor: means of luma in 8x8 cells of the middle."""
COARSE, FINE = 32, 64
"""Sides of the pictures that are searched and first aligned, and of those that are compared."""
CANDIDATES, FINALISTS = 10, 3
"""Training pictures that are aligned coarsely, and finely, for each picture."""
SAMPLE = 1024
"""Pictures that the descriptor is fitted to."""
DIMENSIONS = 40
PRIOR = 8.0
"""Pictures of any kind that are mixed in when it is fitted: two pictures tell little."""
FLAT = 3.0
"""Levels, of 255, below which a difference is noise."""
FAINT = 0.05
"""The same, as a share of a picture's contrast."""
LEAST = 1e-4
"""Unexplained shares below this are of rounding."""
CHUNK = 64
"""Pictures matched at a time."""

_STEPS = np.linspace(-MARGIN, MARGIN, 7)
VIEWS = np.array(
    [[MARGIN + x, 1 - MARGIN + x, MARGIN + y, 1 - MARGIN + y] for y in _STEPS for x in _STEPS]
)
"""Windows (left, right, top, bottom), as shares of the side, in which a middle is looked for."""
MIDDLE = np.array([[MARGIN, 1 - MARGIN, MARGIN, 1 - MARGIN]])


class Matches(NamedTuple):
    """For each of n pictures its best training pictures, the best first: all (n, k)."""

    which: np.ndarray
    """Index of the training picture."""
    mirrored: np.ndarray
    """Whether it is the picture's mirror image that matches."""
    unexplained: np.ndarray
    """Share, 0 to 1, of the training picture's light and dark that no recolouring of the picture,
    laid upon it, gives; infinity where there are fewer than k training pictures."""
    detail: np.ndarray
    """Fine detail of the picture, as a share of the training picture's where they match; 1 for a
    copy, far below for a blurred one."""


@dataclass(frozen=True)
class Matcher:
    """Training pictures, made ready to be looked in."""

    coarse: np.ndarray
    """(N, 32, 32, 1) float32 luma."""
    fine: np.ndarray
    """(N, S, S, 1) float32 luma, S 16, 32, 48 or 64: no more than the pictures' shorter side."""
    search: _Descriptor
    """Of views of equal contrast."""
    dirt_proof: _Descriptor
    """Of views as they are."""
    places: np.ndarray
    """(views, N, D) float32 of length 1: what `search` makes of each view."""

    @classmethod
    def fitted(cls, images: np.ndarray) -> Matcher:
        """From training pictures (N, H, W, C) uint8, N at least 1."""
        coarse = _resized(images, COARSE)[..., :1]
        # Its middle is to have a multiple of four pixels a side, which are averaged by fours.
        side = max(16, min(FINE, *images.shape[1:3]) // 16 * 16)
        fine = _resized(images, side)[..., :1]
        chosen = np.unique(np.linspace(0, len(coarse) - 1, SAMPLE).astype(np.int64))
        views = _views(coarse[chosen])
        search = _Descriptor.fitted(_standard(views), FAINT)
        parts = [
            search.place(_standard(_views(coarse[start : start + SAMPLE]))).swapaxes(0, 1)
            for start in range(0, len(coarse), SAMPLE)
        ]
        return cls(
            coarse, fine, search, _Descriptor.fitted(views, FLAT), np.concatenate(parts, axis=1)
        )

    def __len__(self) -> int:
        return len(self.coarse)

    def layout(self, images: np.ndarray) -> np.ndarray:
        """Where light and dark lie in each picture: (n, D) float32 of length 1.

        Colours and what is smaller than an eighth of the side do not count. Contrast does where it
        is not the usual one: noise takes from it, and pictures under noise shall stay alike, which
        on a white ground they would not if they were brought to one contrast first.
        """
        return np.concatenate(
            [
                self.dirt_proof.place(_middles(_resized(images[start : start + SAMPLE], COARSE)))
                for start in range(0, len(images), SAMPLE)
            ]
        )

    def detail_left(self, images: np.ndarray) -> np.ndarray:
        """(N,) share of each training picture's fine detail that one of `images` (N, H, W, C) uint8
        has, which is the same picture after some damage.
        """
        left = []
        for start in range(0, len(images), SAMPLE):
            part = slice(start, start + SAMPLE)
            damaged = _resized(images[part], self.fine.shape[1])[..., :1]
            left.append(_detail_kept(_fine_middles(damaged), _fine_middles(self.fine[part])))
        return np.concatenate(left)

    def match(self, images: np.ndarray, excluded: np.ndarray | None = None) -> Matches:
        """The `FINALISTS` training pictures that explain each picture best.

        Args:
            images: (n, H, W, C) uint8.
            excluded: (n, N) bool, training pictures that do not count for each.
        """
        found = []
        for start in range(0, len(images), CHUNK):
            part = slice(start, start + CHUNK)
            without = None if excluded is None else excluded[part]
            found.append(self._match(images[part], without))
        return Matches(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def _match(self, images: np.ndarray, excluded: np.ndarray | None) -> Matches:
        coarse = _resized(images, COARSE)
        which, mirrored, view = self._candidates(coarse, excluded)
        allowed = np.isfinite(view)
        windows = VIEWS[np.where(allowed, view, 0).astype(np.int64)]
        first = _Alignment.of(coarse, self.coarse, which, mirrored, windows, 5)
        rank = np.where(allowed, first.unexplained, np.inf)
        kept = np.argsort(rank, axis=1, kind="stable")[:, :FINALISTS]
        which, mirrored, allowed = (_taken(x, kept) for x in (which, mirrored, allowed))
        windows = np.take_along_axis(first.windows, kept[..., None], axis=1)
        fine = _resized(images, self.fine.shape[1])
        last = _Alignment.of(fine, self.fine, which, mirrored, windows, 3)
        rank = np.where(allowed, last.unexplained.clip(LEAST), np.inf)
        order = np.argsort(rank, axis=1, kind="stable")
        return Matches(*(_taken(x, order) for x in (which, mirrored, rank, last.detail)))

    def _candidates(
        self, coarse: np.ndarray, excluded: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training pictures, whether mirrored, and in which view (NaN for none), each (n, k)."""
        both = np.stack([_middles(coarse), _middles(coarse[:, :, ::-1])])
        seen = self.search.place(_standard(both))
        best = np.full((len(coarse), len(self)), -np.inf, np.float32)
        for view in self.places:  # one after another, so that memory does not grow with the views
            for queries in seen:
                np.maximum(best, queries @ view.T, out=best)
        if excluded is not None:
            best[excluded] = -np.inf
        few = min(CANDIDATES, len(self))
        which = np.argpartition(-best, few - 1, axis=1)[:, :few]
        which = np.pad(which, ((0, 0), (0, max(0, FINALISTS - few))), mode="edge")
        cosine = np.einsum("tnd,vnkd->nktv", seen, self.places[:, which], optimize=True)
        turned, view = np.divmod(cosine.reshape(*which.shape, -1).argmax(axis=2), len(VIEWS))
        allowed = np.isfinite(_taken(best, which))
        allowed[:, few:] = False
        return which, turned.astype(bool), np.where(allowed, view, np.nan)


class _Alignment(NamedTuple):
    """Pictures laid upon training pictures, all (n, k) or (n, k, 4)."""

    windows: np.ndarray
    unexplained: np.ndarray
    detail: np.ndarray

    @classmethod
    def of(
        cls,
        pictures: np.ndarray,
        among: np.ndarray,
        which: np.ndarray,
        mirrored: np.ndarray,
        windows: np.ndarray,
        steps: int,
    ) -> _Alignment:
        """Move the edges of each window until what it shows is explained best.

        The middle of a picture explains a window's luma by its three colours and a constant, so
        brightness, contrast and hue may change freely. Least squares in these and, by
        Gauss-Newton steps, in the window's four edges.

        Args:
            pictures: (n, S, S, 3).
            among: (N, S, S, 1).
            which: (n, k) into `among`.
            mirrored: (n, k) whether the picture is mirrored first.
            windows: (n, k, 4), where to begin.
            steps: how often the edges move.
        """
        count, k = which.shape
        side = pictures.shape[1]
        cells = round(side * (1 - 2 * MARGIN))
        middles = look(pictures, MIDDLE, cells)
        shown = np.where(
            mirrored[..., None, None, None], middles[:, None, :, ::-1], middles[:, None]
        ).reshape(count * k, cells, cells, 3)
        targets = among[which.reshape(-1)]
        explain = _Recolouring.of(shown)
        place = ((np.arange(cells) + 0.5) / cells).astype(np.float32)
        across, down = place[None, :], place[:, None]
        damping = np.eye(4, dtype=np.float32) * (20 * cells / 2) ** 2
        moved = windows.reshape(-1, 4).copy()
        best, kept = np.full(count * k, np.inf), moved.copy()
        for _ in range(steps):
            seen = look(targets, moved, cells)[..., 0]
            residual = explain.residual(seen.reshape(count * k, -1, 1))
            share = _share(residual, seen)
            better = share < best
            best, kept = np.where(better, share, best), np.where(better[:, None], moved, kept)
            width, height = moved[:, 1] - moved[:, 0], moved[:, 3] - moved[:, 2]
            right = np.gradient(seen, axis=2) * (cells / width)[:, None, None].astype(np.float32)
            below = np.gradient(seen, axis=1) * (cells / height)[:, None, None].astype(np.float32)
            slopes = [right * (1 - across), right * across, below * (1 - down), below * down]
            slopes = np.stack(slopes, axis=-1).reshape(count * k, -1, 4)
            slopes = explain.residual(slopes)
            normal = slopes.transpose(0, 2, 1) @ slopes + damping
            step = np.linalg.solve(normal, slopes.transpose(0, 2, 1) @ residual)[..., 0]
            moved = moved - step.clip(-0.03, 0.03)
            moved[:, 0::2] = moved[:, 0::2].clip(0, 3 * MARGIN)
            moved[:, 1::2] = moved[:, 1::2].clip(1 - 3 * MARGIN, 1)
        seen = look(targets, kept, cells)[..., 0]
        residual = explain.residual(seen.reshape(count * k, -1, 1)).reshape(seen.shape)
        detail = _detail_kept(seen - residual, seen)
        return cls(kept.reshape(count, k, 4), best.reshape(count, k), detail.reshape(count, k))


class _Recolouring(NamedTuple):
    """What three colours and a constant can explain."""

    colours: np.ndarray
    """(m, P, 4)"""
    inverse: np.ndarray
    """(m, 4, 4)"""

    @classmethod
    def of(cls, shown: np.ndarray) -> _Recolouring:
        colours = shown.reshape(len(shown), -1, 3) / 128
        colours = np.concatenate([colours, np.ones_like(colours[..., :1])], axis=2)
        points = colours.shape[1]
        # As if there were some noise: a picture without contrast explains nothing.
        normal = colours.transpose(0, 2, 1) @ colours
        normal += np.diag([points * (FLAT / 128) ** 2] * 3 + [1e-3]).astype(np.float32)
        return cls(colours, np.linalg.inv(normal).astype(np.float32))

    def residual(self, values: np.ndarray) -> np.ndarray:
        """What is left of (m, P, c)."""
        weights = self.inverse @ (self.colours.transpose(0, 2, 1) @ values)
        return values - self.colours @ weights


def _share(residual: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(m,) of the variance of `seen`, both as means over 2x2 pixels: the noise of compression and
    of generators lives in single pixels, and what another picture shows does not.
    """
    residual, seen = _halved(residual.reshape(seen.shape)), _halved(seen)
    whole = np.square(seen - seen.mean(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
    return np.square(residual).mean(axis=(1, 2)) / (whole + FLAT**2)


def _detail_kept(shown: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(m,) detail of (m, P, P) as a share of the detail of other (m, P, P)."""
    return (_detail(shown) + FLAT) / (_detail(seen) + FLAT)


def _detail(shown: np.ndarray) -> np.ndarray:
    """(m,) root mean square of what means over 4x4 pixels leave out."""
    means = _halved(_halved(shown)).repeat(4, axis=1).repeat(4, axis=2)
    return np.sqrt(np.square(shown - means).mean(axis=(1, 2)))


def _halved(shown: np.ndarray) -> np.ndarray:
    """(m, P, P) to means over 2x2; P is even."""
    rows = shown[:, ::2] + shown[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def _resized(images: np.ndarray, side: int) -> np.ndarray:
    """(n, H, W, C) uint8 to (n, side, side, 3) float32: luma and two colour differences."""
    return squeezed(luma_chroma(to_rgb(images)), side)


def squeezed(shown: np.ndarray, side: int) -> np.ndarray:
    """Pictures (n, H, W, C) float32 to squares (n, side, side, C), by means of areas."""
    count, height, width, channels = shown.shape
    if (height, width) == (side, side):
        return shown
    if height == width:
        return look(shown, WHOLE, side)
    down, across = _areas(side, height), _areas(side, width)
    rows = (down @ shown.reshape(count, height, -1)).reshape(count, side, width, channels)
    return across @ rows


def _areas(cells: int, pixels: int) -> np.ndarray:
    """(cells, pixels) float32: what share of each cell lies on each pixel."""
    edges = np.arange(cells + 1)[:, None] * (pixels / cells)
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return (overlap.clip(0) * (cells / pixels)).astype(np.float32)


def _views(coarse: np.ndarray) -> np.ndarray:
    """(n, views, 64) float32."""
    luma = coarse[..., :1]
    seen = [look(luma, window[None], CELLS).reshape(len(luma), -1) for window in VIEWS]
    return np.stack(seen, axis=1)


class _Descriptor(NamedTuple):
    """Linear discriminant analysis (Fisher 1936) of views: directions in which pictures differ, and
    a picture and the same one a little moved do not.
    """

    mean: np.ndarray
    """(64,) what is usual, and counts for nothing."""
    projection: np.ndarray
    """(64, D)"""
    floor: float
    """A contrast below which what is left is noise."""

    @classmethod
    def fitted(cls, views: np.ndarray, floor: float) -> _Descriptor:
        """From (n, views, 64)."""
        middle = len(VIEWS) // 2
        # One picture alone would be what is usual, and show nothing.
        mean = views[:, middle].mean(axis=0) * (len(views) > 1)
        scaled = _contrasted(views - mean, floor).astype(np.float64)
        size = scaled.shape[2]
        share = PRIOR / (PRIOR + len(scaled))
        between = scaled[:, middle].T @ scaled[:, middle] / len(scaled)
        between = (1 - share) * between + share * np.eye(size) * np.trace(between) / size
        row = len(_STEPS)
        beside = (middle - row, middle - 1, middle + 1, middle + row)
        moved = np.concatenate([scaled[:, middle] - scaled[:, other] for other in beside]) / 2
        within = moved.T @ moved / len(moved) + 0.01 * np.eye(size)
        whiten = np.linalg.inv(np.linalg.cholesky(within)).T
        ratios, directions = np.linalg.eigh(whiten.T @ between @ whiten)
        ratios, directions = ratios[::-1][:DIMENSIONS], directions[:, ::-1][:, :DIMENSIONS]
        gains = np.sqrt((ratios - 1).clip(1e-3)) / ratios.clip(1)
        return cls(mean, (whiten @ directions * gains).astype(np.float32), floor)

    def place(self, views: np.ndarray) -> np.ndarray:
        """(..., 64) to (..., D) of length 1."""
        placed = _contrasted(views - self.mean, self.floor) @ self.projection
        return placed / np.linalg.norm(placed, axis=-1, keepdims=True).clip(1e-6)


def _fine_middles(fine: np.ndarray) -> np.ndarray:
    """(n, S, S, 1) to (n, P, P), P the cells of a middle."""
    return look(fine, MIDDLE, round(fine.shape[1] * (1 - 2 * MARGIN)))[..., 0]


def _middles(coarse: np.ndarray) -> np.ndarray:
    """(n, 32, 32, C) to (n, 64)."""
    return look(coarse[..., :1], MIDDLE, CELLS).reshape(len(coarse), -1)


def _standard(views: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1, before what is usual is taken away: were it taken from a paler copy,
    most of what is left would be the usual thing, and not the picture.
    """
    views = views - views.mean(axis=-1, keepdims=True)
    return views / (views.std(axis=-1, keepdims=True) + FLAT)


def _contrasted(differences: np.ndarray, floor: float) -> np.ndarray:
    return differences / (differences.std(axis=-1, keepdims=True) + floor)


def _taken(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, which, axis=1)
