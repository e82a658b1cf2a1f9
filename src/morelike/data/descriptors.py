"""What a small picture shows, as a vector: edges by place and direction, and a layout of colours.

Histograms of oriented gradients after Dalal & Triggs, "Histograms of oriented gradients for human
detection" (CVPR 2005), without overlapping blocks, and 4x4 means of the colours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CELLS = 8
"""Cells along each side."""
DIRECTIONS = 8
COLUMNS = DIRECTIONS + 3
"""Numbers per cell: the edges in each direction, then red, green and blue."""
BLOCK = 512
"""Pictures described at a time, so that memory stays flat."""

# Slopes of the bounds between directions, which lie at 0, 22.5, ... degrees. They are irrational,
# so no gradient between whole numbers lies on a bound and a mirrored one never goes astray.
_BOUNDS = np.tan(np.pi / DIRECTIONS * (np.arange(DIRECTIONS // 2) + 0.5)).astype(np.float32)


def describe(thumbs: np.ndarray) -> np.ndarray:
    """Describe small pictures: (N, S, S, 3) uint8, S a multiple of 8, to (N, 8, 8, 11) float32.

    Directions are those of edges regardless of which side is lighter. The square root of each
    share of the picture's edges is given, so that their squares sum to 1 over a picture (Hellinger
    distance); colours are means of a cell, from 0 to 1.
    """
    count, side = thumbs.shape[:2]
    cell = side // CELLS
    described = np.empty((count, CELLS, CELLS, COLUMNS), np.float32)
    planes = np.ascontiguousarray(np.moveaxis(thumbs, 3, 0))
    for channel, plane in enumerate(planes):
        described[..., DIRECTIONS + channel] = _per_cell(plane, cell) / (255 * cell * cell)
    gray = planes.sum(axis=0, dtype=np.int16)
    padded = np.pad(gray, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    steep, flat = np.abs(down).astype(np.float32), np.abs(across).astype(np.float32)
    turn = np.zeros(gray.shape, np.uint8)
    for bound in _BOUNDS:
        turn += steep > bound * flat
    falling = (across ^ down) < 0
    direction = np.where(falling, (DIRECTIONS - turn) % DIRECTIONS, turn)
    strength = np.sqrt(steep * steep + flat * flat)
    for number in range(DIRECTIONS):
        described[..., number] = _per_cell(strength * (direction == number), cell)
    edges = described[..., :DIRECTIONS]
    edges /= np.maximum(edges.sum(axis=(1, 2, 3), keepdims=True), 1)
    np.sqrt(edges, out=edges)
    return described


def mirrored(described: np.ndarray) -> np.ndarray:
    """What `describe` gives for the same pictures mirrored left to right."""
    order = [(DIRECTIONS - number) % DIRECTIONS for number in range(DIRECTIONS)]
    return described[:, :, ::-1, [*order, *range(DIRECTIONS, COLUMNS)]]


def blocks(count: int) -> Iterator[slice]:
    """Cut `count` pictures into blocks of at most BLOCK."""
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def _per_cell(values: np.ndarray, cell: int) -> np.ndarray:
    """(N, S, S) to (N, 8, 8): the sum of each cell."""
    rows = values.reshape(len(values), CELLS, cell, -1).sum(axis=2, dtype=np.float32)
    return rows.reshape(len(values), CELLS, CELLS, cell).sum(axis=3)
