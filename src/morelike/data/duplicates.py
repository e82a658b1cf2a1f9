"""Copies among pictures: exact ones by digest, near ones by what is left when two are aligned.

Near copies are found on small thumbnails in two steps. First every picture, whole and in four crops
of 90 %, mirrored and not, is compared with every other one by a descriptor fitted to the set itself
(linear discriminant analysis, Fisher 1936): directions in which the pictures of this set differ and
copies of one picture do not. What all pictures of the set have in common, such as a white
background, thus counts for nothing. Then each candidate is aligned to a fraction of a pixel (Lucas
and Kanade 1981) and judged on what remains different.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

Relation = Literal["same", "mirrored", "cropped", "cropped and mirrored"]
RELATIONS: tuple[Relation, ...] = ("same", "mirrored", "cropped", "cropped and mirrored")

SIDE = 32
LEAST_DETAIL = 3.0  # standard deviation of luma, of 255; below it a picture is blank and not judged
MOST_UNLIKE = 0.05  # of 1 - cosine of the aligned descriptors
MOST_UNEXPLAINED = 0.03  # of 1 - correlation of the aligned luma
CANDIDATE = 0.8  # least cosine before alignment
NEIGHBOURS = 16  # most candidates of one picture
LEAST_SHARE = 0.95  # of the area, below which a copy counts as cropped
FARTHEST = 0.2  # most that a crop may lose at one side, as a share of that side

LUMA_CELLS, CHROMA_CELLS, ALIGNED_CELLS = 8, 4, 16
DIMENSIONS = 56
SAMPLE = 1024  # pictures that the descriptor is fitted to
PRIOR = 8.0  # pictures of any kind that are mixed in when it is fitted
FLOOR = 3.0  # levels of contrast below which differences are noise
NOISE = 2.0  # levels that a cell of one and the same picture may differ by
ROUGHNESS = 0.1  # noise of a cell in a copy (JPEG), as a share of the picture's contrast

CHUNK = 2048  # pictures searched at once
BLOCK = 2**21  # cosines computed at once
PAIRS = 512  # pairs aligned at once
BRUTE = 16_384  # pictures up to which each is compared with every other one
BUCKET = 2048  # pictures in a bucket, on average, beyond that
PROBES = 8  # buckets a picture is looked for in

# Luma, blue and red difference of ITU-R BT.601.
_TO_LUMA_CHROMA = np.array(
    [[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], dtype=np.float32
).T
# Windows are left, right, top, bottom as shares of the side. Every crop of 90 % is within 2.5 % of
# one of these four.
_WHOLE = np.array([[0.0, 1.0, 0.0, 1.0]])
_CROPS = np.array([[x, x + 0.9, y, y + 0.9] for x in (0.025, 0.075) for y in (0.025, 0.075)])
_VIEWS = np.concatenate([_WHOLE, _CROPS])


class Pair(NamedTuple):
    """Two pictures of which one is a copy of the other."""

    first: int
    second: int
    """The larger index."""
    distance: float
    """0 for equal thumbnails, 1 at the limit of what is called a copy."""
    relation: Relation
    """What happened to one of them; recompressed and resized ones are the "same"."""


class Group(NamedTuple):
    """Copies of one picture."""

    members: tuple[int, ...]
    """Ascending indices, at least two."""
    pairs: tuple[Pair, ...]
    """The pairs found among them, ascending; every member is a copy of one and the same member."""


def exact_groups(digests: Sequence[str]) -> list[tuple[int, ...]]:
    """The indices of equal digests, ascending, for every digest that occurs more than once."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        found[digest].append(index)
    return [tuple(indices) for indices in found.values() if len(indices) > 1]


def best_copy(
    members: Iterable[int],
    sizes: Sequence[int] | Sequence[tuple[int, int]],
    keys: Sequence[str],
) -> int:
    """Which of `members` to keep: the largest, and among equally large ones the first key.

    Args:
        members: indices into the other two.
        sizes: for every picture its original pixels, or (original pixels, bytes of the file).
        keys: for every picture its name.
    """
    by_key = sorted(members, key=lambda index: keys[index])
    return max(by_key, key=lambda index: sizes[index])  # the first of equals


def near_groups(thumbs: np.ndarray, limit: float = 1.0) -> list[Group]:
    """Groups of pictures that are copies of one another: mirrored, cropped, recompressed, resized.

    A crop may take up to a fifth from the sides, the proportions may change, and each of these
    may come mirrored as well. Brightness and contrast may differ a little, colours hardly. Pictures
    that are nearly blank are not judged. Equal thumbnails always belong together.

    Being a copy is not transitive (two opposite corners of one picture), so groups are stars: the
    picture with the most copies and all its copies form a group, and so on with what is left. A
    chain of small steps, like the frames of a film, is thereby cut into pieces.

    Up to 16,384 distinct pictures, each is compared with every other one; beyond, with those in the
    buckets (inverted file, Jégou et al. 2011) that it and its crops fall near to, which misses some
    copies in a thousand. 50,000 pictures take about half a minute on one core, and time grows with
    their number. Memory beyond the thumbnails is about 1 kB a picture and 200 MB; the order of
    the pictures does not matter.

    Args:
        thumbs: (N, 32, 32, 3) uint8, whole pictures squeezed to a square, antialiased; it may be
            memory-mapped.
        limit: the largest distance of a pair that is called a copy.

    Returns:
        Groups in the order of their first members; no picture is in two of them.
    """
    assert thumbs.shape[1:] == (SIDE, SIDE, 3), thumbs.shape
    assert thumbs.dtype == np.uint8, thumbs.dtype
    alike = _with_detail(thumbs)
    chosen = np.array([indices[0] for indices in alike], dtype=np.int64)
    closest: dict[tuple[int, int], tuple[float, int]] = {}
    for a, b, distance, relation in _copies(thumbs, chosen, limit):
        pair = (min(a, b), max(a, b))
        closest[pair] = min(closest.get(pair, (np.inf, 0)), (distance, relation))
    stars = list(_stars(len(alike), closest))
    star_of = {node: number for number, star in enumerate(stars) for node in star}
    pairs = [
        [Pair(alike[node][0], copy, 0.0, "same") for node in star for copy in alike[node][1:]]
        for star in stars
    ]
    for (a, b), (distance, relation) in closest.items():
        if star_of[a] == star_of[b]:
            first, second = sorted((alike[a][0], alike[b][0]))
            pair = Pair(first, second, round(distance, 4), RELATIONS[relation])
            pairs[star_of[a]].append(pair)
    members = [tuple(sorted(i for node in star for i in alike[node])) for star in stars]
    return sorted(
        Group(found, tuple(sorted(among)))
        for found, among in zip(members, pairs, strict=True)
        if among
    )


def _with_detail(thumbs: np.ndarray) -> list[list[int]]:
    """Indices of equal thumbnails, blank ones left out, in an order that depends on pixels only."""
    alike: defaultdict[bytes, list[int]] = defaultdict(list)
    for start in range(0, len(thumbs), CHUNK):
        chunk = np.ascontiguousarray(thumbs[start : start + CHUNK])
        detail = _luma_chroma(chunk)[..., 0].std(axis=(1, 2))
        for offset in np.flatnonzero(detail >= LEAST_DETAIL).tolist():
            digest = hashlib.blake2b(chunk[offset].tobytes(), digest_size=16).digest()
            alike[digest].append(start + offset)
    return [alike[digest] for digest in sorted(alike)]


def _stars(count: int, pairs: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Cut the graph into stars, those with the most copies first; single nodes come as well."""
    copies: list[set[int]] = [set() for _ in range(count)]
    for a, b in pairs:
        copies[a].add(b)
        copies[b].add(a)
    taken: set[int] = set()
    for centre in sorted(range(count), key=lambda node: (-len(copies[node]), node)):
        if centre not in taken:
            star = [centre, *sorted(copies[centre] - taken)]
            taken.update(star)
            yield star


def _copies(
    thumbs: np.ndarray, chosen: np.ndarray, limit: float
) -> Iterator[tuple[int, int, float, int]]:
    """Pairs (a, b, distance, relation), all positions in `chosen`; a pair may come repeatedly."""
    count = len(chosen)
    if count < 2:
        return

    def pictures(nodes: np.ndarray) -> np.ndarray:
        return _luma_chroma(thumbs[chosen[nodes]])

    sample = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
    space = _Space.fitted(pictures(sample))
    parts = [np.arange(count)[start : start + CHUNK] for start in range(0, count, CHUNK)]
    index = _Index(np.concatenate([space.place(_cells(pictures(p), _WHOLE)) for p in parts]))
    for part in parts:
        a, b, view, mirrored = _candidates(pictures(part), space, index)
        keep = part[a] != b
        a, b, view, mirrored = part[a][keep], b[keep], view[keep], mirrored[keep]
        for start in range(0, len(a), PAIRS):
            block = slice(start, start + PAIRS)
            crop = pictures(b[block])
            crop = np.where(mirrored[block, None, None, None], crop[:, :, ::-1], crop)
            windows, distances = _judge(pictures(a[block]), crop, _VIEWS[view[block]], space)
            area = (windows[:, 1] - windows[:, 0]) * (windows[:, 3] - windows[:, 2])
            relations = 2 * (area < LEAST_SHARE) + mirrored[block]
            found = np.flatnonzero(distances <= limit)
            columns = (a[block], b[block], distances, relations)
            yield from zip(*(column[found].tolist() for column in columns), strict=True)


def _luma_chroma(thumbs: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) uint8 -> the same as float32 luma (0 to 255) and two colour differences."""
    return thumbs.astype(np.float32) @ _TO_LUMA_CHROMA


def _look(pictures: np.ndarray, windows: np.ndarray, cells: int) -> np.ndarray:
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


def _cells(pictures: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(n, 96) float32: luma in 8x8 cells, colour differences in 4x4, weighted by their areas."""
    luma = _look(pictures[..., :1], window, LUMA_CELLS)
    chroma = _look(pictures[..., 1:], window, CHROMA_CELLS) * (LUMA_CELLS / CHROMA_CELLS)
    return np.concatenate([luma.reshape(len(luma), -1), chroma.reshape(len(luma), -1)], axis=1)


def _mirror(cells: np.ndarray) -> np.ndarray:
    """The cells of the mirrored pictures."""
    luma, chroma = np.split(cells, [LUMA_CELLS**2], axis=1)
    luma = luma.reshape(-1, LUMA_CELLS, LUMA_CELLS)[:, :, ::-1]
    chroma = chroma.reshape(-1, CHROMA_CELLS, CHROMA_CELLS, 2)[:, :, ::-1]
    return np.concatenate([luma.reshape(len(luma), -1), chroma.reshape(len(luma), -1)], axis=1)


@dataclass(frozen=True)
class _Space:
    """Where a picture lies within its set: copies point the same way, others anywhere."""

    mean: np.ndarray  # (96,)
    projection: np.ndarray  # (96, D)

    @classmethod
    def fitted(cls, pictures: np.ndarray) -> _Space:
        """From a sample (n, 32, 32, 3) of the set."""
        cells = _cells(pictures, _WHOLE).astype(np.float64)
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
        for window in _CROPS:
            tried = _cells(pictures, window[None])
            scale = _contrast(tried - mean)
            moved = [_cells(pictures, (window + shift)[None]) for shift in shifts]
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


class _Index:
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
                keep = _highest(row, value)
                row, column, value = row[keep], column[keep], value[keep]
                found.append((some[row], self.order[low + column], value))
        query, vector, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
        return query, vector, cosine


def _highest(owner: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Positions of the `NEIGHBOURS` highest values of each owner."""
    order = np.lexsort((-value, owner))
    owner = owner[order]
    return order[np.arange(len(owner)) - np.searchsorted(owner, owner) < NEIGHBOURS]


def _candidates(
    pictures: np.ndarray, space: _Space, index: _Index
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions (a, b, view, mirrored): b looks like that view of picture a, perhaps mirrored."""
    count = len(pictures)
    views = [_cells(pictures, window[None]) for window in _VIEWS]
    views += [_mirror(view) for view in views]
    query, b, cosine = index.search(np.concatenate([space.place(view) for view in views]))
    view, a = np.divmod(query, count)
    mirrored, view = np.divmod(view, len(_VIEWS))
    order = np.lexsort((view, -cosine, mirrored, b, a))
    a, b, cosine, view, mirrored = (part[order] for part in (a, b, cosine, view, mirrored))
    # The best view of each pair is enough to start the alignment from.
    keys = np.stack([a, b, mirrored])
    first = np.flatnonzero(np.diff(keys, axis=1, prepend=-1).any(axis=0))
    keep = first[_highest(a[first], cosine[first])]
    return a[keep], b[keep], view[keep], mirrored[keep]


def _judge(
    pictures: np.ndarray, crops: np.ndarray, windows: np.ndarray, space: _Space
) -> tuple[np.ndarray, np.ndarray]:
    """Align each crop in its picture: windows (n, 4) and distances (n,), of which 1 is the limit.

    Two things have to fit: the luma, whatever brightness and contrast, and the descriptor, which
    knows colours and what is usual in this set.
    """
    target = _look(crops, _WHOLE, ALIGNED_CELLS)
    windows = _align(pictures[..., :1], target[..., 0], windows)
    aligned = _look(pictures, windows, ALIGNED_CELLS)
    a, b = (part[..., 0].reshape(len(part), -1) for part in (aligned, target))
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    unexplained = 1 - (a * b).sum(axis=1) / norms.clip(1e-6)
    a, b = (space.place(_cells(part, _WHOLE)) for part in (aligned, target))
    unlike = 1 - (a * b).sum(axis=1)
    return windows, np.maximum(unexplained / MOST_UNEXPLAINED, unlike / MOST_UNLIKE).clip(0)


def _align(pictures: np.ndarray, target: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Move the edges of each window (n, 4) until its luma fits the target (n, 16, 16) best.

    Least squares (Gauss-Newton) in the four edges, contrast and brightness.
    """
    cells = target.shape[1]
    place = (np.arange(cells) + 0.5) / cells
    damping = np.array([30.0, 30.0, 30.0, 30.0, 0.1, 0.01]) * cells / 2
    for _ in range(5):
        seen = _look(pictures, windows, cells)[..., 0]
        right = np.gradient(seen, axis=2) * cells / (windows[:, 1] - windows[:, 0])[:, None, None]
        below = np.gradient(seen, axis=1) * cells / (windows[:, 3] - windows[:, 2])[:, None, None]
        up, left = 1 - place[:, None], 1 - place
        slopes = [right * left, right * place, below * up, below * place[:, None]]
        slopes += [seen, np.ones_like(seen)]
        jacobian = np.stack(slopes, axis=1).reshape(len(seen), len(slopes), -1)
        error = (target - seen).reshape(len(seen), -1, 1)
        normal = jacobian @ jacobian.transpose(0, 2, 1) + np.diag(damping**2)
        step = np.linalg.solve(normal, jacobian @ error)[:, :4, 0]
        windows = windows + step.clip(-0.03, 0.03)
        windows[:, 0::2] = windows[:, 0::2].clip(0, FARTHEST)
        windows[:, 1::2] = windows[:, 1::2].clip(1 - FARTHEST, 1)
    return windows
