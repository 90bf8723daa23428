"""XML from the network: what is read of it, and what is not even begun."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.telephony.siprec.xml_tree import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_SIZE,
    MAX_TEXT,
    XmlError,
    parse_xml,
)

KNOWN = ("urn:x", "")


def test_names_are_plain_and_lower_case() -> None:
    root = parse_xml(
        b"<p:A xmlns:p='urn:x' p:B='1' C='2'><p:d>t</p:d><q:d xmlns:q='y'/></p:A>", KNOWN
    )
    assert (root.name, root.known) == ("a", True)
    assert root.attributes == {"b": "1", "c": "2"}
    assert root.attribute("z", "c") == "2"
    assert root.attribute("z") == ""
    assert [child.value() for child in root.all("d")] == ["t"]
    assert [child.known for child in root.children] == [True, False]


def test_text_of_the_element_or_of_its_first_child() -> None:
    root = parse_xml(b"<a><b> x </b><c><id>y</id></c><d/></a>", KNOWN)
    assert [child.value() for child in root.children] == ["x", "y", ""]
    below = root.below("id")
    assert below is not None
    assert below.value() == "y"
    assert root.below("nothing") is None


def test_long_text_is_cut() -> None:
    root = parse_xml(b"<a b='%s'>%s</a>" % (b"x" * 5000, b"y" * 5000), KNOWN)
    assert root.attribute("b") == "x" * MAX_TEXT
    assert root.value() == "y" * MAX_TEXT


def test_white_space_and_zero_bytes_around_it() -> None:
    assert parse_xml(b"\r\n <?xml version='1.0'?><a/>\r\n\0", KNOWN).name == "a"


def test_other_encodings() -> None:
    assert parse_xml("<?xml version='1.0'?><a>é</a>".encode("utf-16"), KNOWN).value() == "é"
    latin = "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("latin-1")
    assert parse_xml(latin, KNOWN).value() == "é"
    for encoding in (b"utf-7", b"x", b"zlib", b"idna", b"unicode_escape"):
        with pytest.raises(XmlError):
            parse_xml(b"<?xml version='1.0' encoding='%s'?><a>\xff</a>" % encoding, KNOWN)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><a>&l9;</a>',
    "quadratic": f'<!DOCTYPE a [<!ENTITY b "{"x" * 60_000}">]><a>{"&b;" * 10_000}</a>',
    "a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/">%x;]><a/>',
    "an outside subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_no_entity_is_ever_expanded(bomb: str) -> None:
    began = time.perf_counter()
    with pytest.raises(XmlError, match="document type"):
        parse_xml(bomb.encode(), KNOWN)
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    ("document", "match"),
    [
        (b"", "no XML"),
        (b"<a>&undefined;</a>", "no XML"),
        (b"<a><b></a>", "no XML"),
        (b"<a b='1' b='2'/>", "no XML"),
        (b"\x00" * 50 + b"\xff", "no XML"),
        (b"<a>" + b"x" * MAX_SIZE, "bytes"),
        (b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>", "elements"),
        (b"<a>" * (MAX_DEPTH + 1), "levels"),
    ],
)
def test_refused(document: bytes, match: str) -> None:
    with pytest.raises(XmlError, match=match):
        parse_xml(document, KNOWN)


def test_the_longest_documents_take_no_time() -> None:
    for inner in (b"x" * (MAX_SIZE - 20), b"&amp;" * (MAX_SIZE // 5 - 10), b"<b a='1'/>" * 3990):
        began = time.perf_counter()
        parse_xml(b"<a>" + inner + b"</a>", KNOWN)
        assert time.perf_counter() - began < 0.5


@given(st.binary(max_size=200))
def test_any_bytes(document: bytes) -> None:
    for content in (document, b"<a>" + document + b"</a>"):
        with contextlib.suppress(XmlError):
            parse_xml(content, KNOWN)
