from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morelike.errors import UserError
from morelike.explore import reader as module
from morelike.explore.reader import Trait, reader_of, traits_of, truth
from morelike.reopened import dataset_of
from morelike.runs import Run

CPU = torch.device("cpu")


def records(count: int = 40, **attributes: Any) -> list[dict[str, Any]]:
    """Lines of a manifest; each attribute a function of the number."""
    return [
        {"label": None, "attributes": {key: value(i) for key, value in attributes.items()}}
        for i in range(count)
    ]


def test_traits_are_what_differs_and_all_have() -> None:
    found = traits_of(
        records(
            kind=lambda i: "ab"[i % 2],
            size=lambda i: i,
            same=lambda i: 3.0,
            alone=lambda i: f"name {i}",
            rare=lambda i: "x" if i < 3 else "y",
            some=lambda i: None if i == 7 else 1.0 * i,
            wrong=lambda i: float("nan") if i == 3 else 1.0 * i,
        )
    )
    assert [trait.name for trait in found] == ["kind", "size"]
    assert found[0].classes == ("a", "b") and found[0].size == 2
    assert found[1].mean == pytest.approx(19.5) and found[1].size == 1
    assert found[1].spread == pytest.approx(np.std(range(40)))


def test_labels_are_a_trait() -> None:
    lines = [{"label": "cat" if i < 20 else "dog", "attributes": {}} for i in range(40)]
    assert traits_of(lines) == (Trait("label", ("cat", "dog")),)


def test_it_reads_what_it_learnt_and_is_kept(
    labelled_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 150)
    dataset = dataset_of(labelled_run)
    reader = reader_of(dataset, tmp_path, CPU)
    assert "facing" in {trait.name for trait in reader.traits}
    # Which way it faces, and how light it is, is seen even in 16 pixels.
    scores = reader.scores["facing"]
    assert scores["accuracy"] > 0.9 > scores["commonest"]
    assert reader.scores["wheelbase"]["r2"] < 1
    said = reader.read(dataset.images[dataset.held_out])
    np.testing.assert_allclose(said["facing"].sum(1), 1, rtol=1e-5)
    column = reader.traits[[t.name for t in reader.traits].index("facing")]
    (right,) = truth(dataset, dataset.held_out, [column])
    assert (said["facing"].argmax(1) == right).mean() == pytest.approx(scores["accuracy"], abs=1e-3)
    # Numbers come in their own units.
    hue = [dataset.manifest[i]["attributes"]["ground_y"] for i in dataset.held_out]
    assert abs(said["ground_y"].mean() - np.mean(hue)) < 0.05

    def never(*given: object) -> None:
        raise AssertionError("it was learnt again")

    monkeypatch.setattr(module, "learn", never)
    again = reader_of(dataset, tmp_path, CPU)
    assert again.scores == reader.scores
    np.testing.assert_array_equal(
        again.read(dataset.images[:5])["facing"], said_of(reader, dataset)
    )


def said_of(reader: Any, dataset: Any) -> np.ndarray:
    return reader.read(dataset.images[:5])["facing"]


def test_one_of_other_pictures_is_not_taken(
    labelled_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 1)
    dataset = dataset_of(labelled_run)
    reader_of(dataset, tmp_path, CPU)
    facts = json.loads((tmp_path / "reader.json").read_text())
    for damaged in ({**facts, "digest": "another"}, {}, []):
        (tmp_path / "reader.json").write_text(json.dumps(damaged))
        reader_of(dataset, tmp_path, CPU)
        assert json.loads((tmp_path / "reader.json").read_text()) == facts


def test_pictures_without_labels_are_one_sentence(trained_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither labels nor attributes to learn from; give data"):
        reader_of(dataset_of(trained_run), tmp_path, CPU)
