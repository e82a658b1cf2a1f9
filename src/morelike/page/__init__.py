"""What every page is made of: one HTML file that needs no network and no script.

Each page has a head, sections and a style of its own; the frame around them, text, pictures and
the common style are the same for all. Everything that comes from outside is escaped.
"""

from __future__ import annotations

from morelike.page.document import Part, document

__all__ = ["Part", "document"]
