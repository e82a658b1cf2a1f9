"""The page of a quiz, and the server that shows it: to this machine only, and only to who knows its
address, which holds a secret.

The page is told how many pairs there are, and gets pictures by pair and side. All are PNG files of
one size without metadata, so neither a name nor a header tells which is real; that is said when all
are answered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import math
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from morelike.page.text import text
from morelike.page.thumbs import LOSSLESS_SIDE
from morelike.pictures import to_image, to_rgb
from morelike.version import __version__

if TYPE_CHECKING:
    from morelike.explore.quiz_game import Quiz

HERE = "127.0.0.1"
MOST_BODY = 1_000
LINGER = 20.0
"""Seconds for which the score can be fetched after the last answer."""


class Page(NamedTuple):
    """A page, and what it may load."""

    html: str
    policy: str


def page(title: str, picture: np.ndarray) -> Page:
    """The page of a quiz; `picture` (H, W, C) says how large its pictures are."""
    style = _resource("morelike.page", "page.css") + _resource(__package__ or "", "quiz.css")
    script = _resource(__package__ or "", "quiz.js")
    height, width = picture.shape[:2]
    shown = f'width="{width}" height="{height}"'
    if max(height, width) <= LOSSLESS_SIDE:
        shown += ' class="pixels"'
    policy = (
        "default-src 'none'; img-src 'self' data:; connect-src 'self'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    html = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>Which one is real? – morelike</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<p class="kicker">morelike · {text(title)}</p>
<h1 id="heading" tabindex="-1">Which one is real?</h1>
<p class="lead" id="lead">One of the two pictures is real, the other was generated. Choose the real
one: press <kbd>←</kbd> or <kbd>→</kbd>, or click or touch it.</p>
</header>
<main>
<p id="trouble" role="alert"></p>
<noscript><p>The quiz needs JavaScript.</p></noscript>
<div id="asking">
<p id="place" role="status">Pictures are loading</p>
<progress id="done" value="0" aria-label="Pairs answered"></progress>
<div class="pair">
<button id="left" disabled><img alt="Left picture" {shown}><span>left is real</span></button>
<button id="right" disabled><img alt="Right picture" {shown}><span>right is real</span></button>
</div>
</div>
<section id="result" hidden><div id="lines"></div></section>
</main>
<footer><p>Made by morelike {text(__version__)}. Nothing leaves this machine.</p></footer>
<script>{script}</script>
</body>
</html>
"""
    return Page(html, policy)


def png(picture: np.ndarray) -> bytes:
    """(H, W, C) uint8 as an RGB PNG with nothing but pixels in it."""
    buffer = io.BytesIO()
    to_image(to_rgb(picture)).save(buffer, "PNG")
    return buffer.getvalue()


def encoded(picture: np.ndarray) -> str:
    """The same within a page."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode('ascii')}"


@dataclass
class Served:
    """A quiz that is being shown."""

    quiz: Quiz
    pictures: Sequence[dict[str, bytes]]
    """By pair and side, as PNG files."""
    page: Page
    keep: Callable[[], None]
    """Called after every answer."""
    result: Callable[[], dict[str, Any]]
    """What is told at the end, ready for JSON."""
    token: str
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set once the score was told."""
    failure: Exception | None = None
    """Why an answer could not be kept."""

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HERE}:{self.port}/{self.token}/"

    def wait(self) -> None:
        """Until the score was told, or could have been.

        Raises:
            MorelikeError: if an answer could not be kept.
        """
        while not self.quiz.finished and self.failure is None:
            self.over.wait(0.2)  # short, so that Ctrl-C is heard on every system
        with self.lock:
            pass  # the last answer is being kept
        if self.failure is not None:
            raise self.failure
        self.over.wait(LINGER)

    def state(self) -> dict[str, int]:
        """What the page is told while it asks."""
        return {"round": self.quiz.place, "rounds": len(self.quiz.pairs)}

    def get(self, path: str) -> tuple[str, bytes] | None:
        """The type and contents of what lies at a path behind the secret."""
        if path == "":
            return "text/html; charset=utf-8", self.page.html.encode()
        if path == "state":
            return _json(self.state())
        if path == "result" and self.quiz.finished:
            return _json(self.result())
        # The next pair is fetched ahead, no other.
        asked = re.fullmatch(r"(\d{1,4})/(left|right)\.png", path)
        if asked and int(asked[1]) < min(self.quiz.place + 2, len(self.pictures)):
            return "image/png", self.pictures[int(asked[1])][asked[2]]
        return None

    def take(self, body: bytes) -> dict[str, int] | None:
        """An answer from the page; None if it is none, or of another pair than the next."""
        try:
            given = json.loads(body)
            number, side, seconds = given["round"], given["side"], float(given["seconds"])
            if not math.isfinite(seconds) or isinstance(number, bool):
                return None
            self.quiz.answer(number, side, seconds)
        except (ValueError, LookupError, TypeError):
            return None
        try:
            self.keep()
        except Exception as error:
            self.failure = error  # raised where the quiz was started
            return None
        return self.state()


@contextmanager
def served(
    quiz: Quiz,
    pictures: Sequence[dict[str, np.ndarray]],
    shown: Page,
    keep: Callable[[], None],
    result: Callable[[], dict[str, Any]],
) -> Iterator[Served]:
    """Show a quiz at a free port of this machine.

    Args:
        quiz: takes the answers.
        pictures: of each pair, (H, W, C) uint8 by side.
        shown: from `page`.
        keep: called after every answer.
        result: what the page is told at the end.
    """
    images = [{side: png(one) for side, one in pair.items()} for pair in pictures]
    at = Served(quiz, images, shown, keep, result, secrets.token_urlsafe(24))

    class Bound(_Handler):
        served = at

    server = ThreadingHTTPServer((HERE, 0), Bound)
    server.daemon_threads = True
    at.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield at
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers who knows the secret; to all others there is nothing here."""

    served: Served
    timeout = 10
    server_version, sys_version = "morelike", ""

    def do_GET(self) -> None:
        path = self._behind()
        with self.served.lock:
            found = None if path is None else self.served.get(path)
        self._send(found)
        if path == "result" and found is not None:
            self.served.over.set()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self._behind() != "answer" or not length.isdigit() or int(length) > MOST_BODY:
            self._send(None)
            return
        body = self.rfile.read(int(length))
        with self.served.lock:
            state = self.served.take(body)
        self._send(None if state is None else _json(state), refused=409)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def _behind(self) -> str | None:
        """The path behind the secret; None without it, or under another name of this machine,
        which a foreign page may have given it.
        """
        hosts = (f"{HERE}:{self.served.port}", f"localhost:{self.served.port}")
        _, token, *rest = [*self.path.split("/", 2), ""][:3]
        if self.headers.get("Host") not in hosts or self.path.count("/") < 2:
            return None
        known = hmac.compare_digest(token.encode(), self.served.token.encode())
        return rest[0] if known and rest else None

    def _send(self, found: tuple[str, bytes] | None, refused: int = 404) -> None:
        kind, body = found or ("text/plain", b"")
        self.send_response(refused if found is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.served.page.policy)
        # Kept while the page is open, so that what is fetched ahead is there at once.
        cache = "private, max-age=600" if kind == "image/png" else "no-store"
        self.send_header("Cache-Control", cache)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)


def _json(value: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(value).encode()


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _resource(package: str, file: str) -> str:
    return resources.files(package).joinpath(file).read_text("utf-8")
