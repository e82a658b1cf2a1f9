"""Whether the pictures of a set face one way, and which of them face the other way.

A two-sample question: can pictures be told from their mirror images? A linear discriminant
through the origin is asked, w.a(x) > 0, where a(x) = f(x) - f(mirrored x) for a description f:
what it says of a picture is the opposite of what it says of the mirrored one. It is fitted to
"as they are" (+1) by ridge regression; a minority that faces the other way comes out negative, is
counted as -1 instead, and the fit is made again (expectation-maximisation with hard labels).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from morelike.data.descriptors import CELLS, COLUMNS, DIRECTIONS, blocks, describe, mirrored
from morelike.metrics.chances import wilson

FOLDS = 10
ROUNDS = 12
MOST_FITTED = 6000
RIDGE = 1.0
"""Strength of the ridge, in mean variances of a column of a(x)."""
COLOUR = 0.3
"""Weight of the colours beside the edges, so that both vary about as much."""
ASYMMETRIC = 0.6
"""Share above which mirroring is taken to spoil the set. To mirror letters is worse than not to
mirror what could be, so it is close to the half that chance gives."""
SYMMETRIC = 0.75
"""A share that must be ruled out before the set is called symmetric."""
EVIDENCE = 0.5
"""How much a picture counts in the interval. Fits that share pictures err together: on sets of
which a random half was mirrored, the consistency varied up to 1.5 times as much as with
independent pictures."""
ENOUGH = 48
"""Fewer different pictures may hide an asymmetry from the fit, so are never called symmetric."""


class Facing(NamedTuple):
    """Which way pictures face."""

    consistency: float
    """Share of the pictures that face as most do, found by fits which had not seen them."""
    low: float
    """Lower end of its 95 % interval (Wilson 1927)."""
    asymmetric: bool | None
    """Whether a mirrored picture would be a foreign body; None: cannot be told."""
    score: np.ndarray
    """(N,) float32: > 0 faces as most do, < 0 the other way; about 1 is clear, near 0 uncertain."""
    majority: Literal["left", "right"]
    """What the way is called that most face: as anchored, else right."""


def facing(
    thumbs: np.ndarray, anchors: Mapping[int, Literal["left", "right"]] | None = None
) -> Facing:
    """Find which way each picture faces.

    In a set of which about half faces each way no majority can be learnt: its consistency is near
    a half, as that of a set which faces no way, and both may be mirrored without harm.

    Args:
        thumbs: (N, 32, 32, 3) uint8.
        anchors: the way that some pictures, by number, are known to face. Without any, "right" is
            what the majority does.
    """
    if not len(thumbs):
        return Facing(0.5, 0.0, None, np.empty(0, np.float32), "right")
    groups = _groups(thumbs)
    # Those fitted to are chosen by content, so it does not matter in which order they come.
    chosen = np.sort(np.argsort(groups, kind="stable")[:MOST_FITTED])
    fitted, different = _antisymmetric(thumbs[chosen]), len(np.unique(groups[chosen]))
    weights, left_out = _fit(fitted)
    score = np.empty(len(thumbs), np.float32)
    for block in blocks(len(thumbs)):
        score[block] = _antisymmetric(thumbs[block]) @ weights
    score[chosen] = left_out
    consistency = _found_blind(fitted, groups[chosen])
    low, high = wilson(consistency, EVIDENCE * different)
    asymmetric = None
    if low > ASYMMETRIC:
        asymmetric = True
    elif high < SYMMETRIC and different >= ENOUGH:
        asymmetric = False
    told = sum(score[i] if way == "right" else -score[i] for i, way in (anchors or {}).items())
    return Facing(consistency, low, asymmetric, score, "left" if told < 0 else "right")


def _antisymmetric(thumbs: np.ndarray) -> np.ndarray:
    """a(x) of each picture, (N, D); of its left half only, since its right half is the opposite."""
    halves = np.empty((len(thumbs), CELLS, CELLS // 2, COLUMNS))
    for block in blocks(len(thumbs)):
        described = describe(thumbs[block])
        halves[block] = (described - mirrored(described))[:, :, : CELLS // 2]
    halves[..., DIRECTIONS:] *= COLOUR
    halves[np.abs(halves) < 1e-6] = 0  # rounding, which would else be learnt where there is no more
    return halves.reshape(len(thumbs), -1)


def _fit(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The discriminant for a (n, D): its (D,), and the score of each picture from all the others.

    The regression without picture i gives it (a_i.w - h_i y_i) / (1 - h_i), where h_i is the
    leverage (Allen 1974), so that no picture has a say in its own label.
    """
    gram = a.T @ a
    ridge = RIDGE * gram.trace() / len(gram) + 1e-9
    solved = np.linalg.solve(gram + ridge * np.eye(len(gram)), a.T)
    leverage = np.einsum("ij,ji->i", a, solved)

    def fit(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = solved @ labels
        return weights, (a @ weights - leverage * labels) / (1 - leverage)

    labels = np.ones(len(a))
    plain = found = fit(labels)
    for _ in range(ROUNDS):
        before, labels = labels, np.where(found[1] < 0, -1.0, 1.0)
        if np.array_equal(before, labels):
            break
        found = fit(labels)
    # Where few details tell pictures from mirrored ones, the labels may drift to another contrast,
    # such as the side the light comes from. Then fewer pictures agree, by more than chance gives.
    agree, agree_plain = (float(np.mean(score > 0)) for _, score in (found, plain))
    return found if agree > agree_plain - 1 / math.sqrt(max(1, len(a))) else plain


def _found_blind(a: np.ndarray, groups: np.ndarray) -> float:
    """Share of the pictures on the positive side of a fit to the other nine tenths of the groups.

    On the dividing line counts half.
    """
    score = np.zeros(len(a))
    for fold in range(FOLDS):
        held = groups % FOLDS == fold
        if held.any() and not held.all():
            score[held] = a[held] @ _fit(a[~held])[0]
    return float(np.mean((np.sign(score) + 1) / 2))


def _groups(thumbs: np.ndarray) -> np.ndarray:
    """Number the different pictures by digest, (N,); mirrored ones are the same picture."""
    digests = np.empty(len(thumbs), np.uint64)
    for number, thumb in enumerate(thumbs):
        content = min(thumb.tobytes(), thumb[:, ::-1].tobytes())
        digests[number] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
    return np.unique(digests, return_inverse=True)[1].reshape(-1)
