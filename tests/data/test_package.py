from __future__ import annotations

import subprocess
import sys


def test_looking_at_pictures_needs_no_torch() -> None:
    code = (
        "import sys, morelike.data, morelike.ingest, morelike.cli.pictures; "
        "print([name for name in ('torch', 'av', 'pyarrow', 'datasets') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
