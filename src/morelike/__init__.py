"""morelike: from a folder of pictures to a generator of new ones like them.

    import morelike
    run = morelike.train("photos/", recipe="roses-dcgan", minutes=10)
    pictures = morelike.load(run.path).sample(seeds=range(64))   # (64, 64, 64, 3) uint8

Importing the package is quick: torch is loaded by the first call that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from morelike.version import __version__

__all__ = ["__version__", "inspect", "load", "plan", "prepare", "profile", "train"]

if TYPE_CHECKING:
    from morelike.api import plan, profile, train
    from morelike.ingest import inspect, prepare
    from morelike.sampling import load


def __getattr__(name: str) -> Any:
    if name in ("train", "plan", "profile"):
        from morelike import api

        return getattr(api, name)
    if name in ("inspect", "prepare"):
        from morelike import ingest

        return getattr(ingest, name)
    if name == "load":
        from morelike.sampling import load

        return load
    raise AttributeError(f"module 'morelike' has no attribute '{name}'")
