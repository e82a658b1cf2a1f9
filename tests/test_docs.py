"""What the documents say is true: commands run, quoted lines are code, named files are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
TINY = [
    *("--images 24", "--set training.batch=8", "--set data.resolution=16", "--device cpu"),
    *("--set generator.width=4", "--set discriminator.width=4", "--precision fp32"),
]


def test_every_command_of_the_readme_runs(
    tmp_path: Path, write_pictures: Callable[..., Path]
) -> None:
    write_pictures(tmp_path / "photos", 20)
    for first, kind in ((0, "smiling"), (10, "not_smiling")):
        write_pictures(tmp_path / "faces" / kind, 10, first=first)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (morelike .*?)(?:  +#.*)?$", text, flags=re.MULTILINE)
    assert len(lines) >= 7
    binary = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binary}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        tiny = re.sub(" --minutes [12]0", "", line).replace(" --set training.batch=32", "")
        tiny = tiny.replace("--size 64", "--size 16").replace("toy ring8", "toy ring8 --steps 20")
        if " train " in tiny:
            tiny = f"{tiny} {' '.join(TINY)}"
        if tiny.startswith(("morelike enhance train", "morelike translate train")):
            tiny = f"{tiny} --set task.crop=16"
        ended = subprocess.run(
            ["sh", "-c", tiny], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{tiny}\n{ended.stderr}"
    assert (tmp_path / "grid.png").exists()
    assert (tmp_path / "inspect-photos" / "index.html").exists()
    assert (tmp_path / "runs" / "00001-photos-dcgan" / "generator" / "model.safetensors").exists()


def test_quoted_code_is_the_code() -> None:
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    quotes = re.findall(r"```python\n\s*# (src/\S+)\n(.*?)```", text, flags=re.DOTALL)
    assert len(quotes) >= 6
    for name, quote in quotes:
        code = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        assert " ".join(quote.split()) in code, f"{name} does not hold:\n{quote}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_linked_files_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_annotated_tree_names_every_module() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "morelike").rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            assert path.name in tree, f"ARCHITECTURE.md does not name {path.name}"
