"""What tests of pages share: a strict reader of HTML, hostile text, contrast of colours."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources

import numpy as np

HOSTILE = (
    "\"'><evil onload='x'></style></script></title></svg><!-- &lt; `${x}` \\ {x} %s\n\r\t\0"
    "\u2028\u202e\ud800\udcff<script>alert(1)</script>.jpg"
)
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Reads a page strictly: every element is closed, in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.flow: list[tuple[str, str]] = []
        """("h2", its text) for headings, ("", text) for all other text, in their order."""
        self.raw: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute of {tag} twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.flow.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> means <{tag}> outside of a drawing"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside in ("style", "script"):
            self.raw[inside] = self.raw.get(inside, "") + data
            return
        heading = next((tag for tag in self.open if re.fullmatch("h[1-6]", tag)), "")
        if heading:
            self.flow[-1] = heading, self.flow[-1][1] + data
        elif data.strip():
            self.flow.append(("", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def headings(self, *tags: str) -> list[str]:
        return [re.sub(r" [\d,]+$", "", words) for tag, words in self.flow if tag in tags]

    def values(self, attribute: str) -> list[str]:
        return [values[attribute] or "" for _, values in self.tags if attribute in values]


def assert_safe(html: str) -> None:
    """Nothing is fetched, and no script may run but the page's own."""
    outline = Outline(html)
    for attribute in ("href", "src", "srcset", "action", "data", "poster", "xlink:href"):
        for value in outline.values(attribute):
            assert re.match(r"#\w|data:image/webp;base64,[A-Za-z0-9+/=]+$", value), value
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub('base64,[^"]+', "", html))
    (policy,) = [
        values["content"]
        for _, values in outline.tags
        if values.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(outline.raw["script"].encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy
    assert [name for _, values in outline.tags for name in values if name.startswith("on")] == []


def style(package: str, file: str) -> str:
    """The CSS file of a package."""
    return resources.files(package).joinpath(file).read_text("utf-8")


def colours(css: str, scheme: str) -> dict[str, str]:
    """The named colours of a style, in a "light" or "dark" scheme."""
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)[:2]
    return dict(re.findall(r"--([\w-]+): (#\w+);", light if scheme == "light" else dark))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    shares = np.array(list(bytes.fromhex(digits))) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
