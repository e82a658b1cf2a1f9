"""Work that the training need not wait for, such as writing a checkpoint to a slow disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """One thread, in which one thing is done after the other.

    At most one is under way: whoever brings the next waits for it. What goes wrong there is raised
    where somebody waits, so nothing fails unseen.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "morelike-background")
        self._under_way: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Begin it, once the one before is done.

        Raises:
            Exception: whatever the one before raised; this one is then not begun.
        """
        self.wait()
        self._under_way = self._thread.submit(work)

    def wait(self) -> None:
        """Until nothing is under way.

        Raises:
            Exception: whatever went wrong.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def close(self) -> None:
        """Let it finish, and end the thread."""
        self._thread.shutdown()
