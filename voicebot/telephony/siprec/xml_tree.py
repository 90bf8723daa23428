"""Small XML documents from the network, read without any of XML's dangers.

A document type declaration is refused where it begins, so no entity is ever
declared or expanded; size, depth and the number of elements are bounded.  What
comes out is a plain tree, with names in lower case and without namespaces:
peers disagree on both.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

MAX_SIZE: Final = 128 * 1024
"""bytes"""
MAX_ELEMENTS: Final = 4000
MAX_DEPTH: Final = 32
MAX_TEXT: Final = 256
"""characters of an attribute or text that is handed out; what is longer is cut"""
_ENCODINGS: Final = ("utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1")
"""Python would try all of its codecs"""


class XmlError(ValueError):
    """A document is malformed, declares a type, or goes beyond a limit."""


@dataclass(slots=True)
class Element:
    """One element of the tree."""

    name: str
    """in lower case, without its namespace"""
    known: bool
    """whether its namespace is one of those asked for"""
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, *names: str) -> Iterator[Element]:
        """Children of a known namespace by name (lower case)."""
        return (c for c in self.children if c.known and c.name in names)

    def attribute(self, *names: str) -> str:
        """The first of these attributes that is there."""
        return next((v for n in names if (v := self.attributes.get(n))), "")[:MAX_TEXT]

    def value(self) -> str:
        """Text, or that of the first child (``<send><id>x</id></send>`` in the drafts)."""
        own = self.text.strip()
        if not own and self.children:
            own = self.children[0].text.strip()
        return own[:MAX_TEXT]

    def below(self, name: str) -> Element | None:
        """The first descendant by name, whatever its namespace."""
        for child in self.children:
            found = child if child.name == name else child.below(name)
            if found is not None:
                return found
        return None


class _Builder:
    """Takes expat's events and makes the tree, within the limits."""

    def __init__(self, namespaces: Collection[str]) -> None:
        self._namespaces = namespaces
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise XmlError(f"more than {MAX_ELEMENTS} elements, or {MAX_DEPTH} levels")
        namespace, _, local = name.rpartition(" ")
        plain = {key.rpartition(" ")[2].lower(): value for key, value in attributes.items()}
        element = Element(local.lower(), namespace in self._namespaces, plain)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        element = self._open[-1]
        # Cut, not gathered: the cost of appending stays linear.
        if len(element.text) < 4 * MAX_TEXT:
            element.text += data[: 4 * MAX_TEXT]


def _refuse(*_: object) -> None:
    raise XmlError("a document type declaration")


def _declared(_: str, encoding: str | None, __: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise XmlError("an encoding that is not expected")


def parse_xml(document: bytes, namespaces: Collection[str]) -> Element:
    """Parse XML that has no document type, and so no entities of its own.

    Args:
        document: As received.
        namespaces: Those whose elements are :attr:`Element.known`; ``""`` is none.

    Raises:
        XmlError: malformed, too large or too deep.
    """
    if len(document) > MAX_SIZE:
        raise XmlError(f"document of {len(document)} bytes, at most {MAX_SIZE}")
    if document[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        # Peers leave line ends before the declaration, and zero bytes at the end.
        document = document.strip(b" \t\r\n\0")
    builder = _Builder(namespaces)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = _declared
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(document, True)
    except XmlError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: encodings
        raise XmlError(f"no XML: {error}") from error
    if builder.root is None:
        raise XmlError("an empty document")
    return builder.root
