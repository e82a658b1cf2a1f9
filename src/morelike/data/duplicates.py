"""Copies among pictures: exact ones by digest, near ones by what is left when two are aligned.

Near copies are found on small thumbnails in two steps. First every picture, whole and in four crops
of 90 %, mirrored and not, is compared with every other one by a descriptor fitted to the set itself
(`likeness.py`). Then each candidate is aligned to a fraction of a pixel (Lucas
and Kanade 1981) and judged on what remains different.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from morelike.data import likeness
from morelike.data.likeness import (
    VIEWS,
    WHOLE,
    Index,
    Space,
    cells_of,
    highest,
    look,
    luma_chroma,
    mirror,
)

Relation = Literal["same", "mirrored", "cropped", "cropped and mirrored"]
RELATIONS: tuple[Relation, ...] = ("same", "mirrored", "cropped", "cropped and mirrored")

SIDE = 32
ALIGNED_CELLS = 16
LEAST_DETAIL = 3.0  # standard deviation of luma, of 255; below it a picture is blank and not judged
MOST_UNLIKE = 0.05  # of 1 - cosine of the aligned descriptors
MOST_UNEXPLAINED = 0.03  # of 1 - correlation of the aligned luma
LEAST_SHARE = 0.95  # of the area, below which a copy counts as cropped
FARTHEST = 0.2  # most that a crop may lose at one side, as a share of that side
PAIRS = 512  # pairs aligned at once


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
    for start in range(0, len(thumbs), likeness.CHUNK):
        chunk = np.ascontiguousarray(thumbs[start : start + likeness.CHUNK])
        detail = luma_chroma(chunk)[..., 0].std(axis=(1, 2))
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
        return luma_chroma(thumbs[chosen[nodes]])

    sample = np.unique(np.linspace(0, count - 1, min(count, likeness.SAMPLE)).astype(np.int64))
    space = Space.fitted(pictures(sample))
    parts = [
        np.arange(count)[start : start + likeness.CHUNK]
        for start in range(0, count, likeness.CHUNK)
    ]
    index = Index(np.concatenate([space.place(cells_of(pictures(p), WHOLE)) for p in parts]))
    for part in parts:
        a, b, view, mirrored = _candidates(pictures(part), space, index)
        keep = part[a] != b
        a, b, view, mirrored = part[a][keep], b[keep], view[keep], mirrored[keep]
        for start in range(0, len(a), PAIRS):
            block = slice(start, start + PAIRS)
            crop = pictures(b[block])
            crop = np.where(mirrored[block, None, None, None], crop[:, :, ::-1], crop)
            windows, distances = _judge(pictures(a[block]), crop, VIEWS[view[block]], space)
            area = (windows[:, 1] - windows[:, 0]) * (windows[:, 3] - windows[:, 2])
            relations = 2 * (area < LEAST_SHARE) + mirrored[block]
            found = np.flatnonzero(distances <= limit)
            columns = (a[block], b[block], distances, relations)
            yield from zip(*(column[found].tolist() for column in columns), strict=True)


def _candidates(
    pictures: np.ndarray, space: Space, index: Index
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions (a, b, view, mirrored): b looks like that view of picture a, perhaps mirrored."""
    count = len(pictures)
    views = [cells_of(pictures, window[None]) for window in VIEWS]
    views += [mirror(view) for view in views]
    query, b, cosine = index.search(np.concatenate([space.place(view) for view in views]))
    view, a = np.divmod(query, count)
    mirrored, view = np.divmod(view, len(VIEWS))
    order = np.lexsort((view, -cosine, mirrored, b, a))
    a, b, cosine, view, mirrored = (part[order] for part in (a, b, cosine, view, mirrored))
    # The best view of each pair is enough to start the alignment from.
    keys = np.stack([a, b, mirrored])
    first = np.flatnonzero(np.diff(keys, axis=1, prepend=-1).any(axis=0))
    keep = first[highest(a[first], cosine[first])]
    return a[keep], b[keep], view[keep], mirrored[keep]


def _judge(
    pictures: np.ndarray, crops: np.ndarray, windows: np.ndarray, space: Space
) -> tuple[np.ndarray, np.ndarray]:
    """Align each crop in its picture: windows (n, 4) and distances (n,), of which 1 is the limit.

    Two things have to fit: the luma, whatever brightness and contrast, and the descriptor, which
    knows colours and what is usual in this set.
    """
    target = look(crops, WHOLE, ALIGNED_CELLS)
    windows = _align(pictures[..., :1], target[..., 0], windows)
    aligned = look(pictures, windows, ALIGNED_CELLS)
    a, b = (part[..., 0].reshape(len(part), -1) for part in (aligned, target))
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    unexplained = 1 - (a * b).sum(axis=1) / norms.clip(1e-6)
    a, b = (space.place(cells_of(part, WHOLE)) for part in (aligned, target))
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
        seen = look(pictures, windows, cells)[..., 0]
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
