"""Where pictures lie within their set: a descriptor fitted to the set, and a search for neighbours.

The descriptor is linear discriminant analysis (Fisher 1936) of small averages: directions in which
the pictures of this set differ and slightly cropped copies of one picture do not. What all pictures
of the set have in common, such as a white background, thus counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LUMA_CELLS, CHROMA_CELLS = 8, 4
DIMENSIONS = 56
SAMPLE = 1024  # pictures that the descriptor is fitted to
PRIOR = 8.0  # pictures of any kind that are mixed in when it is fitted
FLOOR = 3.0  # levels of contrast below which differences are noise
ROUGHNESS = 0.1  # noise of a cell in a copy (JPEG), as a share of the picture's contrast
NOISE = 2.0  # levels that a cell of one and the same picture may differ by
BLOCK = 2**21  # cosines computed at once
BRUTE = 16_384  # pictures up to which each is compared with every other one
BUCKET = 2048  # pictures in a bucket, on average, beyond that
PROBES = 8  # buckets a picture is looked for in
CANDIDATE = 0.8  # least cosine before alignment
NEIGHBOURS = 16  # most candidates of one picture
CHUNK = 2048  # pictures searched at once

# Luma, blue and red difference of ITU-R BT.601.
_TO_LUMA_CHROMA = np.array(
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], dtype=np.float32
).T
# Windows are left, right, top, bottom as shares of the side. Every crop of 90 % is within 2.5 % of
# one of these four.
WHOLE = np.array([[0.0, 1.0, 0.0, 1.0]])
CROPS = np.array([[x, x + 0.9, y, y + 0.9] for x in (0.025, 0.075) for y in (0.025, 0.075)])
VIEWS = np.concatenate([WHOLE, CROPS])


def luma_chroma(thumbs: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) uint8 -> the same as float32 luma (0 to 255) and two colour differences."""
    return thumbs.astype(np.float32) @ _TO_LUMA_CHROMA


def look(pictures: np.ndarray, windows: np.ndarray, cells: int) -> np.ndarray:
    """Average what is in a window of each picture: (n, S, S, C) -> (n, cells, cells, C) float32.

    `windows` is (n, 4), or (1, 4) for the same window in all.
    """
    count, side, _, channels = pictures.shape
    across = _overlaps(windows[:, 0], windows[:, 1], cells, side)
    down = _overlaps(windows[:, 2], windows[:, 3], cells, side)
    rows = (down @ pictures.reshape(count, side, -1)).reshape(count, cells, side, channels)
    return across[:, None] @ rows


def _overlaps(low: np.ndarray, high: np.ndarray, cells: int, side: int) -> np.ndarray:
    """Weights (n, cells, side) that average pixels over equal cells between `low` and `high`."""
    edges = (low[:, None] + (high - low)[:, None] * np.linspace(0, 1, cells + 1)) * side
    pixel = np.arange(side)
    overlap = np.minimum(edges[:, 1:, None], pixel + 1) - np.maximum(edges[:, :-1, None], pixel)
    overlap = overlap.clip(0)
    return (overlap / overlap.sum(axis=2, keepdims=True)).astype(np.float32)


def cells_of(pictures: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(n, 96) float32: luma in 8x8 cells, colour differences in 4x4, weighted by their areas."""
    luma = look(pictures[..., :1], window, LUMA_CELLS)
    chroma = look(pictures[..., 1:], window, CHROMA_CELLS) * (LUMA_CELLS / CHROMA_CELLS)
    return np.concatenate([luma.reshape(len(luma), -1), chroma.reshape(len(luma), -1)], axis=1)


def mirror(cells: np.ndarray) -> np.ndarray:
    """The cells of the mirrored pictures."""
    luma, chroma = np.split(cells, [LUMA_CELLS**2], axis=1)
    luma = luma.reshape(-1, LUMA_CELLS, LUMA_CELLS)[:, :, ::-1]
    chroma = chroma.reshape(-1, CHROMA_CELLS, CHROMA_CELLS, 2)[:, :, ::-1]
    return np.concatenate([luma.reshape(len(luma), -1), chroma.reshape(len(luma), -1)], axis=1)


@dataclass(frozen=True)
class Space:
    """Where a picture lies within its set: copies point the same way, others anywhere."""

    mean: np.ndarray  # (96,)
    projection: np.ndarray  # (96, D)

    @classmethod
    def fitted(cls, pictures: np.ndarray) -> Space:
        """From a sample (n, 32, 32, 3) of the set."""
        cells = cells_of(pictures, WHOLE).astype(np.float64)
        # Many copies of one picture would make what they show the usual thing.
        pictures, cells = (part[_distinct(cells)] for part in (pictures, cells))
        # Two pictures do not tell what is usual, so some that any set might hold are mixed in.
        mean, covariance = _any_pictures()
        share = PRIOR / (PRIOR + len(cells))
        mean = share * mean + (1 - share) * cells.mean(axis=0)
        scaled = (cells - mean) / _contrast(cells - mean)
        between = share * covariance + (1 - share) * (scaled.T @ scaled) / len(cells)

        # How a crop differs from the nearest of the four crops that are tried.
        shifts = [np.array([x, x, y, y]) for x in (-0.025, 0.025) for y in (-0.025, 0.025)]
        differences = []
        for window in CROPS:
            tried = cells_of(pictures, window[None])
            scale = _contrast(tried - mean)
            moved = [cells_of(pictures, (window + shift)[None]) for shift in shifts]
            differences += [(crop - tried) / scale for crop in moved]
        stacked = np.concatenate(differences).astype(np.float64)
        within = stacked.T @ stacked / len(stacked) + ROUGHNESS**2 * np.eye(len(mean))

        whiten = np.linalg.inv(np.linalg.cholesky(within)).T
        ratios, directions = np.linalg.eigh(whiten.T @ between @ whiten)
        ratios, directions = ratios[::-1][:DIMENSIONS], directions[:, ::-1][:, :DIMENSIONS]
        # Unit variance between pictures, less where copies vary nearly as much (Wiener).
        gains = np.sqrt((ratios - 1).clip(0)) / ratios.clip(1)
        return cls(mean.astype(np.float32), (whiten @ directions * gains).astype(np.float32))

    def place(self, cells: np.ndarray) -> np.ndarray:
        """(n, 96) -> (n, D) float32 of length 1."""
        placed = (cells - self.mean) @ self.projection
        return placed / np.linalg.norm(placed, axis=1, keepdims=True).clip(1e-6)


def _any_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Mean (96,) and covariance (96, 96) of gray with blobs on it, at a contrast of 1.

    Neighbouring cells are alike, exp(-distance / a quarter of the side), and colours are weak.
    """
    place = (np.arange(LUMA_CELLS) + 0.5) / LUMA_CELLS
    coarse = (np.arange(CHROMA_CELLS) + 0.5) / CHROMA_CELLS
    luma, chroma = (
        np.exp(-4 * np.hypot(*(grid.reshape(-1, 1) - grid.reshape(1, -1) for grid in grids)))
        for grids in (np.meshgrid(place, place), np.meshgrid(coarse, coarse))
    )
    covariance = np.zeros((len(luma) + 2 * len(chroma),) * 2)
    covariance[: len(luma), : len(luma)] = luma
    covariance[len(luma) :, len(luma) :] = np.kron(chroma, 0.25 * np.eye(2))
    mean = np.zeros(len(covariance))
    mean[: len(luma)] = 128
    return mean, covariance / np.diag(covariance).mean()


def _distinct(cells: np.ndarray) -> list[int]:
    """Indices of some that differ from one another by more than noise, and all others do not."""
    kept = [0]
    for index in range(1, len(cells)):
        if ((cells[kept] - cells[index]) ** 2).mean(axis=1).min() > NOISE**2:
            kept.append(index)
    return kept


def _contrast(differences: np.ndarray) -> np.ndarray:
    return np.sqrt((differences**2).mean(axis=1, keepdims=True)) + FLOOR


class Index:
    """Finds the nearest of many vectors of length 1: (N, D) float32.

    Many are put into buckets, each around one of them, and only the buckets nearest to a query are
    searched.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        buckets = 1 if len(vectors) <= BRUTE else len(vectors) // BUCKET
        spread = np.linspace(0, len(vectors) - 1, buckets).astype(np.int64)
        self.centres = vectors[spread]
        nearest = [
            (vectors[start : start + CHUNK] @ self.centres.T).argmax(axis=1)
            for start in range(0, len(vectors), CHUNK)
        ]
        bucket = np.concatenate(nearest)
        self.order = np.argsort(bucket, kind="stable")
        self.bounds = np.searchsorted(bucket[self.order], np.arange(buckets + 1))
        self.vectors = vectors[self.order]

    def search(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All (query, vector, cosine) with a cosine of `CANDIDATE`, at most `NEIGHBOURS` a query
        and bucket.
        """
        probes = min(PROBES, len(self.centres))
        nearest = np.argpartition(queries @ self.centres.T, -probes, axis=1)[:, -probes:]
        by_bucket = np.argsort(nearest, axis=None, kind="stable")
        ends = np.searchsorted(nearest.ravel()[by_bucket], np.arange(len(self.centres) + 1))
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for bucket in np.flatnonzero(np.diff(ends)):
            low, high = self.bounds[bucket : bucket + 2]
            rows = by_bucket[ends[bucket] : ends[bucket + 1]] // probes
            step = max(1, BLOCK // max(1, high - low))
            for start in range(0, len(rows), step):
                some = rows[start : start + step]
                cosines = queries[some] @ self.vectors[low:high].T
                row, column = np.divmod(np.flatnonzero(cosines >= CANDIDATE), max(1, high - low))
                value = cosines[row, column]
                keep = highest(row, value)
                row, column, value = row[keep], column[keep], value[keep]
                found.append((some[row], self.order[low + column], value))
        query, vector, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
        return query, vector, cosine


def highest(owner: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Positions of the `NEIGHBOURS` highest values of each owner."""
    order = np.lexsort((-value, owner))
    owner = owner[order]
    return order[np.arange(len(owner)) - np.searchsorted(owner, owner) < NEIGHBOURS]
