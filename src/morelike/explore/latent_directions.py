"""Directions of a space: where a generator's pictures change most, and where they change in one
respect. Functions of the network and of points.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.explore.opened import Opened
from morelike.space import Points, Space

ALIKE = 1e-4
"""1 - cosine below which a layer's input is taken to be the point itself."""
MIDWAY = 64
"""Places of the largest maps that count as the first layers'."""
PENALTY = 1e-2
"""Of squared weights, in units of the mean loss: of logistic and of linear regression."""


def first_maps(space: Space, points: Points) -> Tensor:
    """The linear maps by which a point enters the network, stacked: (R, D).

    They are those of all layers that are fed the point itself (reshaped, joined by a condition, or
    brought to another length): one for z, one for each style for w.

    Args:
        space: the space and its network.
        points: two or more of it.

    Raises:
        ValueError: if there is no such layer.
    """
    values, size = points.values, points.values.shape[1]
    fed: dict[nn.Module, torch.Size] = {}

    def watch(module: nn.Module, given: tuple[Any, ...]) -> None:
        x = given[0] if given and isinstance(given[0], Tensor) else None
        if x is None or len(x) != len(values) or x[0].numel() < size or module in fed:
            return
        if F.cosine_similarity(x.flatten(1)[:, :size], values).min() > 1 - ALIKE:
            fed[module] = x.shape[1:]

    weighted = [
        m for m in space.network.modules() if isinstance(getattr(m, "weight", None), Tensor)
    ]
    hooks = [module.register_forward_pre_hook(watch) for module in weighted]
    try:
        space.pictures(points)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for module, shape in fed.items():
        count = math.prod(shape)
        each = torch.eye(size, count, device=values.device).reshape(size, *shape)
        nothing = module(torch.zeros_like(each[:1]))
        found.append((module(each) - nothing).flatten(1).T)
    if not found:
        raise ValueError("no layer is fed the point itself")
    return torch.cat(found)


def semantic_factors(maps: Tensor, count: int) -> Tensor:
    """SeFa: the unit vectors n that maximise |A n|^2, which are the first eigenvectors of A^T A
    (Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs", eq. 5).

    Args:
        maps: A, (R, D).
        count: how many.

    Returns:
        (count, D), the strongest first; at most D of them.
    """
    _, vectors = torch.linalg.eigh((maps.T @ maps).double())
    return vectors.T.flip(0)[:count].to(maps.dtype)


def activations(opened: Opened, points: Points) -> Tensor:
    """(N, F), what the generator's first layers make of points: for w, w itself; for z the last
    maps of at most 8x8 places, which for networks of few layers is about halfway.
    """
    if opened.space.name == "w":
        return points.values
    kept: list[Tensor] = []

    def watch(module: nn.Module, given: Any, made: Any) -> None:
        if isinstance(made, Tensor) and made.dim() == 4 and made[0, 0].numel() <= MIDWAY:
            kept[:] = [made.flatten(1)]

    hooks = [module.register_forward_hook(watch) for module in opened.generator.network.modules()]
    try:
        found = []
        for start in range(0, len(points.values), 64):
            opened.space.pictures(points.rows(slice(start, start + 64)))
            found += [part.clone() for part in kept] or [points.values[start : start + 64]]
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found)


def principal_directions(values: Tensor, seen: Tensor, count: int) -> Tensor:
    """GANSpace: principal components of activations, and the directions of the space that go along
    them, by linear regression (Haerkoenen et al. 2020, "GANSpace: Discovering Interpretable GAN
    Controls", eq. 2).

    Args:
        values: (N, D), points.
        seen: (N, F), their activations.
        count: how many, at most D.

    Returns:
        (count, D) of length 1, the component of the largest variance first.
    """
    at = (seen - seen.mean(0)).double()
    # Of N points, N x N products are enough however many activations there are.
    spread, vectors = torch.linalg.eigh(at @ at.T)
    scores = vectors.flip(1)[:, :count] * spread.flip(0)[:count].clamp_min(0).sqrt()
    centred = (values - values.mean(0)).double()
    solution = torch.linalg.lstsq(centred, scores).solution.T
    return F.normalize(solution, dim=1).to(values.dtype)


def logistic_direction(values: Tensor, shares: Tensor) -> Tensor:
    """The direction in which a class becomes likelier: the weights of logistic regression, of
    length 1 (as in Shen et al. 2020, "Interpreting the Latent Space of GANs", section 2.1, by a
    linear boundary).

    Args:
        values: (N, D), points.
        shares: (N,), how likely each shows the class, 0 to 1. Both sides weigh the same.
    """
    x = _standard(values)
    y = shares.double()
    weight = 0.5 * y / y.mean().clamp_min(1e-6) + 0.5 * (1 - y) / (1 - y).mean().clamp_min(1e-6)
    normal = torch.zeros(x.shape[1], dtype=x.dtype, device=x.device, requires_grad=True)
    offset = torch.zeros((), dtype=x.dtype, device=x.device, requires_grad=True)
    solver = torch.optim.LBFGS([normal, offset], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        logits = x @ normal + offset
        losses = F.binary_cross_entropy_with_logits(logits, y, weight, reduction="mean")
        loss = losses + PENALTY * normal.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return _back(normal.detach(), values)


def linear_direction(values: Tensor, target: Tensor) -> Tensor:
    """The direction in which a number grows: the weights of ridge regression, of length 1.

    Args:
        values: (N, D), points.
        target: (N,), the number that each shows.
    """
    x = _standard(values)
    y = target.double()
    y = (y - y.mean()) / y.std().clamp_min(1e-12)
    gram = x.T @ x / len(x) + PENALTY * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return _back(torch.linalg.solve(gram, x.T @ y / len(x)), values)


def in_steps(directions: Tensor, values: Tensor) -> Tensor:
    """Directions (K, D) in the length of one standard deviation of points (N, D) along each."""
    units = F.normalize(directions, dim=1)
    spread = ((values - values.mean(0)) @ units.T).std(0)
    return units * spread[:, None]


def _standard(values: Tensor) -> Tensor:
    centred = (values - values.mean(0)).double()
    return centred / centred.std(0).clamp_min(1e-12)


def _back(weights: Tensor, values: Tensor) -> Tensor:
    """Weights of standardised values as a direction of the values, of length 1."""
    return F.normalize(weights / values.double().std(0).clamp_min(1e-12), dim=0).to(values.dtype)
