"""What pictures are made for besides chance: labels and attributes as numbers.

The condition of a picture is one vector: its label as one-hot over the sorted names of all labels,
then each attribute, scaled so that its range over the pictures is [-1, 1]. So a mixture of two
labels is a vector like any other, and an attribute may be asked for beyond its range.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.config import ConditionConfig
from morelike.errors import UserError, nearest
from morelike.rng import Draws

LABEL = "label"
Record = Mapping[str, Any]
"""A picture's line of the manifest: `label` and `attributes`."""


def settled(settings: ConditionConfig, records: Sequence[Record]) -> ConditionConfig:
    """The settings with the labels and ranges of these pictures.

    Raises:
        UserError: if a picture lacks what is asked for, or all pictures are alike in it.
    """
    classes: dict[str, float] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for name in settings.on:
        values = _values(name, records)
        if len(set(values)) < 2:
            raise UserError(f"all pictures have the same {name}; leave it out of condition.on.")
        if name == LABEL:
            counts = Counter(values)
            classes = {one: round(counts[one] / len(values), 6) for one in sorted(counts)}
        else:
            ranges[name] = (min(values), max(values))
    return settings.model_copy(update={"classes": classes, "ranges": ranges})


def encoded(settings: ConditionConfig, records: Sequence[Record]) -> np.ndarray:
    """The conditions of pictures: (N, size) float32."""
    result = np.zeros((len(records), settings.size), dtype=np.float32)
    if settings.classes:
        place = {name: i for i, name in enumerate(settings.classes)}
        labels = [place[one[LABEL]] for one in records]
        result[np.arange(len(records)), labels] = 1
    for column, (name, bounds) in enumerate(settings.ranges.items(), len(settings.classes)):
        values = np.array([one["attributes"][name] for one in records])
        result[:, column] = _scaled(values, bounds)
    return result


def drawn(
    settings: ConditionConfig,
    draws: Draws,
    labels: Mapping[str, float] | None = None,
    attributes: Mapping[str, float] | None = None,
) -> Tensor:
    """Conditions for `draws.count` pictures: (count, size).

    Args:
        settings: settled ones.
        draws: decide what is not asked for: labels as often as among the pictures, attributes
            evenly over their range.
        labels: of all pictures; several are mixed by their shares.
        attributes: of all pictures, each in its own units.

    Raises:
        UserError: for labels and attributes that there are none of, or shares that mix to nothing.
    """
    columns: list[Tensor] = []
    if settings.classes:
        columns.append(_mixture(settings, labels, draws) if labels else _any_class(settings, draws))
    elif labels:
        raise UserError("the generator was trained without labels; leave the label out.")
    for name in attributes or ():
        if name not in settings.ranges:
            known = nearest(name, settings.ranges)
            raise UserError(f"the generator knows no attribute '{name}'; {known}.")
    for name, bounds in settings.ranges.items():
        values = 2 * draws.uniform(f"condition.{name}", 1) - 1
        if attributes and name in attributes:
            values = torch.full_like(values, float(_scaled(attributes[name], bounds)))
        columns.append(values)
    return torch.cat(columns, 1) if columns else draws.uniform("condition", 0)


def _any_class(settings: ConditionConfig, draws: Draws) -> Tensor:
    chances = draws.uniform("condition.label")
    edges = torch.tensor(list(settings.classes.values()), dtype=torch.float64).cumsum(0)
    # The last edge may be below 1, as the shares are rounded.
    edges = (edges / edges[-1])[:-1].to(chances)
    chosen = torch.bucketize(chances, edges, right=True)
    return torch.nn.functional.one_hot(chosen, len(settings.classes)).to(chances)


def _mixture(settings: ConditionConfig, labels: Mapping[str, float], draws: Draws) -> Tensor:
    for name in labels:
        if name not in settings.classes:
            raise UserError(
                f"the generator knows no label '{name}'; {nearest(name, settings.classes)}."
            )
    total = math.fsum(labels.values())
    if not total > 0 or min(labels.values()) < 0:
        raise UserError("the shares of labels must be 0 or more, and not all of them 0.")
    row = torch.tensor([labels.get(name, 0.0) / total for name in settings.classes])
    return row.to(draws.uniform("condition.label")).expand(draws.count, -1)


def _scaled(values: Any, bounds: tuple[float, float]) -> Any:
    low, high = bounds
    return 2 * (values - low) / (high - low) - 1


def _values(name: str, records: Sequence[Record]) -> list[Any]:
    """What each picture has of a label or an attribute."""
    of_label = name == LABEL
    values = [one[LABEL] if of_label else one["attributes"].get(name) for one in records]
    known = sorted({key for one in records for key in one["attributes"]})
    missing = sum(value is None for value in values)
    if missing == len(values):
        remedy = (
            "give data.labels=folders, or a metadata.csv beside the pictures"
            if of_label or not known
            else nearest(name, known)
        )
        raise UserError(f"the pictures have no {name} to be a condition; {remedy}.")
    if missing:
        raise UserError(
            f"{missing} of {len(values)} pictures have no {name}; "
            "give it to them, or leave them out."
        )
    if not of_label and not all(isinstance(value, int | float) for value in values):
        raise UserError(
            f"the attribute {name} is text, and a condition needs numbers; call its column 'label'."
        )
    return values
