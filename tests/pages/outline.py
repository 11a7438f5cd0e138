"""Reads a page with the HTML parser of the standard library."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Outline(HTMLParser):
    """The tags of a page, their attributes, its headings, and its visible text."""

    page: str
    tags: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    headings: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.page)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        self.text += " " if tag in ("p", "li", "td", "th", "div", "h1", "h2", "h3", "caption", "summary") else ""

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "head" in self._open:
            return
        self.text += data
        if self.headings and any(tag in self._open for tag in ("h1", "h2", "h3")):
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute in the order of the page."""
        return [value for _, attributes in self.attributes if (value := attributes.get(name)) is not None]
