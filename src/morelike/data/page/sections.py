"""The sections of the page, in their order; one without contents is not there at all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from morelike.data.contact import evenly_chosen
from morelike.data.page import charts
from morelike.data.page.report import Facing, Group, Label, Report, Shown, Unreadable
from morelike.page import Part
from morelike.page.text import counted, name, percent, text
from morelike.page.thumbs import Thumbs

MOST_KEPT = 200
MOST_IN_GROUP = 60
MOST_REASONS = 12
MOST_COPIES = 60
MOST_IN_COPIES = 8
MOST_MODES = 12
MOST_IN_MODE = 16
MOST_FACING = 24
MOST_UNREADABLE = 200
MOST_LABELS = 100
MOST_OF_COMMAND = 10_000  # a shortened command would be a wrong one
UNEVEN = 1.5
"""Times as many pictures in the largest class as in the smallest, from which it is said."""

Choose = Callable[[int, int], list[int]]


def sections(report: Report, thumbs: Thumbs) -> list[Part]:
    """The sections that have something to say; their pictures are placed in `thumbs`."""
    left_out = sum(group.size for group in report.left_out)
    flagged = sum(group.size for group in report.flagged)
    parts = [
        Part("kept", "Kept", report.counts.kept, _kept(report, thumbs)),
        Part("left-out", "Left out", left_out, _left_out(report.left_out, thumbs)),
        Part("copies", "Copies", len(report.copies), _copies(report.copies, thumbs)),
        Part(
            "unreadable",
            "Cannot be read",
            len(report.unreadable),
            _unreadable(report.unreadable),
        ),
        Part("look", "Kept, but worth a look", flagged, _flagged(report, thumbs)),
        Part("kinds", "Kinds of pictures", len(report.modes), _modes(report.modes, thumbs)),
        Part("facing", "Which way they face", None, _facing(report.facing, thumbs)),
        Part("originals", "The originals", None, _originals(report)),
        Part("labels", "Labels", len(report.labels), _labels(report.labels)),
        Part("change", "Change a decision", None, _change(report)),
        Part("settings", "Settings", None, _settings(report)),
    ]
    return [part for part in parts if part.body]


def _kept(report: Report, thumbs: Thumbs) -> str:
    if not report.kept:
        return ""
    group = Group("", report.kept, report.counts.kept)
    return (
        f"<p>What the networks will see{_ending(group, MOST_KEPT)}</p>\n"
        f"{_wall(group.pictures, thumbs, MOST_KEPT, evenly_chosen)}"
    )


def _left_out(groups: Sequence[Group], thumbs: Thumbs) -> str:
    if not groups:
        return ""
    return (
        "<p>The networks will not see these. No file was deleted or changed.</p>\n"
        + "".join(_reason(group, thumbs, evenly_chosen) for group in groups[:MOST_REASONS])
        + _further(groups, MOST_REASONS, "reason")
    )


def _flagged(report: Report, thumbs: Thumbs) -> str:
    groups = report.flagged
    if not groups:
        return ""
    how = ' (see <a href="#change">Change a decision</a>)' if report.change else ""
    return (
        "<p>Nothing has to be done about these; the clearest cases come first. Those that do not "
        f"belong can be left out{how}.</p>\n"
        + "".join(_reason(group, thumbs, _first) for group in groups[:MOST_REASONS])
        + _further(groups, MOST_REASONS, "reason")
    )


def _reason(group: Group, thumbs: Thumbs, choose: Choose) -> str:
    words = " ".join(part for part in (text(group.text, 600), _shown(group, MOST_IN_GROUP)) if part)
    return (
        _heading(group)
        + (f"<p>{words}</p>\n" if words else "")
        + _tiles(group.pictures, thumbs, MOST_IN_GROUP, choose)
    )


def _copies(groups: Sequence[Group], thumbs: Thumbs) -> str:
    if not groups:
        return ""
    blocks = "".join(
        f'<li class="block"><h3>{text(group.title)}</h3>'
        + (f"<p>{text(group.text, 600)}</p>" if group.text else "")
        + _tiles(group.pictures, thumbs, MOST_IN_COPIES, _first)
        + (f"<p>{_shown(group, MOST_IN_COPIES)}</p>" if group.size > MOST_IN_COPIES else "")
        + "</li>\n"
        for group in groups[:MOST_COPIES]
    )
    return (
        f"<p>{counted(len(groups), 'group')} of pictures that are the same, or nearly. A picture "
        "that is there twice is learnt twice as strongly, and sooner by heart.</p>\n"
        f'<ul class="blocks">\n{blocks}</ul>\n' + _further(groups, MOST_COPIES, "group")
    )


def _unreadable(files: Sequence[Unreadable]) -> str:
    if not files:
        return ""
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        by_reason[file.reason].append(file.key)
    reasons = sorted(by_reason, key=lambda reason: (-len(by_reason[reason]), reason))
    most = max(1, MOST_UNREADABLE // len(reasons))
    lists = ""
    for reason in reasons[:MOST_UNREADABLE]:
        keys = by_reason[reason]
        names = "".join(f"<li>{name(key)}</li>\n" for key in keys[:most])
        more = f"<p>… and {len(keys) - most:,} more.</p>\n" if len(keys) > most else ""
        lists += (
            f'<h3>{text(reason)} <span class="count">{len(keys):,}</span></h3>\n'
            f'<ul class="files">\n{names}</ul>\n{more}'
        )
    return f"<p>These files were passed over.</p>\n{lists}" + _further(
        reasons, MOST_UNREADABLE, "reason"
    )


def _modes(groups: Sequence[Group], thumbs: Thumbs) -> str:
    if not groups:
        return ""
    rows = "".join(
        _heading(group)
        + (f"<p>{text(group.text, 600)}</p>\n" if group.text else "")
        + _wall(group.pictures, thumbs, MOST_IN_MODE, _first)
        for group in groups[:MOST_MODES]
    )
    return (
        "<p>Pictures that look alike at a glance, put together; the most typical come first. Large "
        "kinds are learnt well, small ones badly or not at all.</p>\n"
        + rows
        + _further(groups, MOST_MODES, "kind")
    )


def _facing(facing: Facing | None, thumbs: Thumbs) -> str:
    if facing is None:
        return ""
    rows = "".join(
        _heading(group)
        + (f"<p>{text(group.text, 600)}</p>\n" if group.text else "")
        + _wall(group.pictures, thumbs, MOST_FACING, _first)
        for group in (facing.most, facing.other)
        if group.pictures
    )
    return (
        f"<p><strong>{percent(facing.agreement)}</strong> face the same way; 50 % would be chance. "
        f"{text(facing.text, 600)}</p>\n{rows}"
    )


def _originals(report: Report) -> str:
    drawn = ""
    if report.originals is not None and len(report.originals.sizes):
        drawn += charts.sizes(report.originals) + charts.shapes(report.originals)
    if report.borders is not None and len(report.borders.lightness):
        drawn += charts.borders(report.borders)
    return f'<div class="charts">\n{drawn}</div>\n' if drawn else ""


def _labels(labels: Sequence[Label]) -> str:
    if not labels:
        return ""
    ranked = sorted(labels, key=lambda label: (-label.count, label.name))
    total, most = sum(label.count for label in ranked), ranked[0].count
    rows = "".join(
        f'<tr><th scope="row">{name(label.name)}</th><td class="number">{label.count:,}</td>'
        f'<td class="number">{percent(label.count / max(1, total))}</td><td class="bar">'
        f'<span style="width:{100 * label.count / max(1, most):.1f}%"></span></td></tr>\n'
        for label in ranked[:MOST_LABELS]
    )
    rest = ranked[MOST_LABELS:]
    if rest:
        pictures = counted(sum(label.count for label in rest), "picture")
        more = f"<p>… and {len(rest):,} more with {pictures} together.</p>\n"
    else:
        more = ""
    return (
        f"<p>{_balance(ranked)}</p>\n<table>\n<thead><tr><th>Class</th>"
        '<th class="number">Pictures</th><th class="number">Share</th><td></td></tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table>\n{more}"
    )


def _balance(ranked: Sequence[Label]) -> str:
    largest, smallest = ranked[0], ranked[-1]
    if len(ranked) == 1:
        return "All pictures are of one class, so labels add nothing."
    ratio = largest.count / max(1, smallest.count)
    if ratio < UNEVEN:
        return "The classes are of about the same size."
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
    return (
        f"<strong>Uneven:</strong> {name(largest.name)} has {times} times as many pictures as "
        f"{name(smallest.name)}, so it will be learnt better."
    )


def _change(report: Report) -> str:
    if report.change is None:
        return ""
    steps = "".join(f"<li>{text(step, 600)}</li>\n" for step in report.change.steps)
    lines = "\n".join(_command(command) for command in report.change.commands)
    return (f"<ol>\n{steps}</ol>\n" if steps else "") + (
        f"<pre><code>{lines}</code></pre>\n" if lines else ""
    )


def _command(command: str) -> str:
    """A command whose words stay whole where a line is broken."""
    return " ".join(f"<span>{text(word, MOST_OF_COMMAND)}</span>" for word in command.split(" "))


def _settings(report: Report) -> str:
    if not report.settings:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{text(one.name)}</code></th><td><code>{text(one.value)}</code>'
        f"</td><td>{text(one.meaning, 600)}</td></tr>\n"
        for one in report.settings
    )
    return (
        '<table class="settings">\n<thead><tr><th>Setting</th><th>Value</th><th>Meaning</th></tr>'
        "</thead>\n"
        f"<tbody>\n{rows}</tbody></table>\n"
    )


def _first(count: int, most: int) -> list[int]:
    return list(range(min(count, most)))


def _wall(pictures: Sequence[Shown], thumbs: Thumbs, most: int, choose: Choose) -> str:
    """Pictures close together; their names are read by whoever points at them."""
    shown = [pictures[index] for index in choose(len(pictures), most)]
    items = [f"<li>{thumbs.place(one.pixels, _alt(one))}</li>\n" for one in shown]
    return _list("wall", shown, items)


def _tiles(pictures: Sequence[Shown], thumbs: Thumbs, most: int, choose: Choose) -> str:
    """Pictures with their names and captions beneath."""
    shown = [pictures[index] for index in choose(len(pictures), most)]
    return _list("tiles", shown, [_tile(one, thumbs) for one in shown])


def _tile(shown: Shown, thumbs: Thumbs) -> str:
    kind = f' class="{shown.mark.replace(" ", "-")}"' if shown.mark else ""
    last = shown.key.rstrip("/").rpartition("/")[2]
    return (
        f"<li{kind}>"
        + thumbs.place(shown.pixels, _alt(shown))
        + (f'<b class="mark">{shown.mark}</b>' if shown.mark else "")
        + f'<span class="name">{name(last)}</span>'
        + (f'<span class="caption">{text(shown.caption)}</span>' if shown.caption else "")
        + "</li>\n"
    )


def _list(kind: str, shown: Sequence[Shown], items: Sequence[str]) -> str:
    if not shown:
        return ""
    height, width = shown[0].pixels.shape[:2]
    # Wide pictures get wider places, so that all shapes are of about the same area.
    wide = "" if height == width else f' style="--wide:{math.sqrt(width / height):.2f}"'
    return f'<ul class="{kind}"{wide}>\n{"".join(items)}</ul>\n'


def _alt(shown: Shown) -> str:
    words = [text(shown.key), shown.mark, text(shown.caption)]
    return ", ".join(word for word in words if word)


def _heading(group: Group) -> str:
    return f'<h3>{text(group.title)} <span class="count">{group.size:,}</span></h3>\n'


def _shown(group: Group, most: int) -> str:
    """How many are shown, where that is not all."""
    shown = min(len(group.pictures), most)
    return f"{shown:,} of {group.size:,} are shown." if shown < group.size else ""


def _ending(group: Group, most: int) -> str:
    shown = min(len(group.pictures), most)
    return f": {shown:,} of {group.size:,}, evenly chosen." if shown < group.size else "."


def _further(things: Sequence[object], most: int, thing: str) -> str:
    over = len(things) - most
    return f"<p>… and {counted(over, f'more {thing}')}.</p>\n" if over > 0 else ""
