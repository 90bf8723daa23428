from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebot.telephony.sip.sip_headers import (
    UnknownSchemeError,
    parse_address,
    parse_cseq,
    parse_host_port,
    parse_params,
    parse_uri,
    parse_via,
    split_outside,
    unquote,
)


def test_commas_in_quotes_and_brackets_do_not_split() -> None:
    text = r'"a, \" b" <sip:x,y@h>;p="1,2", <sip:z@h>'
    assert split_outside(text, ",") == [r'"a, \" b" <sip:x,y@h>;p="1,2"', "<sip:z@h>"]


@pytest.mark.parametrize("text", ['"open, a', "<open, a", r'"a\", b'])
def test_what_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not end"):
        split_outside(text, ",")


def test_unquote_takes_backslashes_out() -> None:
    assert unquote(r'"a \"b\" \\"') == 'a "b" \\'
    assert unquote("plain") == "plain"


def test_parameters_in_lower_case_and_once() -> None:
    assert parse_params("LR; a = 1 ;;b") == {"lr": None, "a": "1", "b": None}
    for text in ("a;;b", "a=1;a=2"):
        with pytest.raises(ValueError, match="parameter"):
            parse_params(text, strict=True)


def test_a_user_may_hold_semicolons_and_question_marks() -> None:
    """Where aiosipua takes the user for the host."""
    uri = parse_uri("sip:user;par=u%40example.net@example.com")
    assert (uri.user, uri.host, uri.params) == ("user;par=u%40example.net", "example.com", {})
    odd = parse_uri("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com:5070;lr")
    assert (odd.host, odd.port, odd.params) == ("example.com", 5070, {"lr": None})


def test_uri_of_every_part() -> None:
    uri = parse_uri("SIPS:Al@[2001:db8::1]:5061;transport=tcp?Subject=x&y=")
    assert (uri.scheme, uri.user, uri.host, uri.port) == ("sips", "Al", "[2001:db8::1]", 5061)
    assert uri.params == {"transport": "tcp"}
    assert uri.headers == {"Subject": "x", "y": ""}


def test_a_number_to_be_called() -> None:
    uri = parse_uri("tel:+1-555-0100;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host) == ("tel", "+1-555-0100", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "sip:",
        "sip:@h",
        "sip:a b@h",
        "sip:a@h:99999",
        "sip:a@h:0",
        "<sip:a@h>",
        "sip:a@b@c",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(ValueError):
        parse_uri(text)


def test_an_unknown_scheme_is_told_apart() -> None:
    with pytest.raises(UnknownSchemeError):
        parse_uri("soap.beep://192.0.2.103:3002")


def test_a_bracket_in_a_quoted_name_is_no_address() -> None:
    """Where aiosipua reads the address from the name."""
    address = parse_address(r'"a <sip:evil@h> \" b" <sip:good@h;x=1>;tag=7')
    assert address.display_name == 'a <sip:evil@h> " b'
    assert (address.uri.user, address.uri.params, address.tag) == ("good", {"x": "1"}, "7")


def test_parameters_without_brackets_belong_to_the_header() -> None:
    """Where aiosipua gives all but the tag to the URI (RFC 3261 section 20.10)."""
    address = parse_address("sip:a@h;expires=5;tag=7")
    assert address.uri.params == {}
    assert address.params == {"expires": "5", "tag": "7"}


def test_addresses_of_other_schemes_are_kept() -> None:
    address = parse_address("<http://www.example.com>;tag=3")
    assert (address.uri.scheme, address.tag) == ("http", "3")
    assert parse_address("tel:+15550100").uri.user == "+15550100"


@pytest.mark.parametrize(
    "text", ['"open <sip:a@h>', '"a" sip:a@h', "<sip:a@h", "<sip:a@h> tag=1", "sip:a@h?x=1", '"a\\']
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


def test_via_with_blanks_everywhere() -> None:
    """Where aiosipua loses the transport."""
    via = parse_via("SIP  / 2.0  / TCP     spindle.example.com : 5070  ;  branch  =   z9hG4bK9ikj8")
    assert (via.protocol, via.transport) == ("SIP/2.0", "TCP")
    assert (via.host, via.port, via.branch) == ("spindle.example.com", 5070, "z9hG4bK9ikj8")


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP a b", "SIP/2.0/UDP h;;x", "SIP/2.0/UDP h:0"]
)
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(ValueError):
        parse_via(text)


def test_cseq_is_bounded() -> None:
    assert parse_cseq(" 0009  INVITE ").seq == 9
    assert parse_cseq(f"{2**31 - 1} BYE").seq == 2**31 - 1
    for text in (f"{2**31} BYE", "-1 BYE", "BYE", "1", "1 B YE", "٣ BYE"):
        with pytest.raises(ValueError, match="CSeq"):
            parse_cseq(text)


def test_host_and_port() -> None:
    assert parse_host_port(" h.example : 5 ") == ("h.example", 5)
    assert parse_host_port("[::1]") == ("[::1]", None)


ODD = st.text(alphabet='"\\<>,;:@?=&[]()/ \t.sipSIP2019vUDP٣é', max_size=60)


@settings(max_examples=300, deadline=None)
@given(ODD)
def test_nothing_but_value_error(text: str) -> None:
    for parse in (parse_uri, parse_address, parse_via, parse_cseq, parse_host_port, parse_params):
        try:
            parse(text)
        except ValueError:
            continue
