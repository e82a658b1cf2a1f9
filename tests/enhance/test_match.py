from __future__ import annotations

from pathlib import Path

import pytest

from morelike.enhance.match import match
from morelike.errors import UserError
from morelike.models import configure
from morelike.runs import Run


def test_its_pictures_larger(trained_run: Run, pictures_folder: Path) -> None:
    found = match(trained_run.path, "enlarge:4")
    own = trained_run.config()["data"]
    assert found.source == str(pictures_folder)
    assert found.settings["task"] == {
        "name": "enlarge:4",
        "fakes": str(trained_run.path.absolute()),
    }
    changed = {key for key, value in found.settings["data"].items() if own[key] != value}
    assert changed == {"resolution"} and found.settings["data"]["resolution"] == 64
    config = configure({"family": "enlarger", **found.settings})
    assert config.data.size == (64, 64)


def test_a_shared_generator_does_not_say_its_pictures(trained_run: Run) -> None:
    found = match(trained_run.generator, "enlarge:2")
    assert found.source is None
    assert found.settings["data"]["resolution"] == 32


def test_what_cannot_be_matched(trained_run: Run, enlarger_run: Run) -> None:
    for task in ("colorize", "", "deblur"):
        with pytest.raises(UserError, match=r"--match is for enlargers: the task .* does not make"):
            match(trained_run.path, task)
    with pytest.raises(UserError, match=r"makes pictures from pictures \(enlarge:2\) and knows no"):
        match(enlarger_run.path, "enlarge:4")
    with pytest.raises(UserError, match="neither a run folder nor a generator folder"):
        match("nowhere", "enlarge:4")


def test_the_largest_pictures_are_known(trained_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morelike.enhance.match.RESOLUTIONS", (16, 32))
    with pytest.raises(
        UserError, match=r"pictures of 16 x 16; enlarge:4 .* 64 x 64, and 32 is the"
    ):
        match(trained_run.path, "enlarge:4")
