"""Who is behind a proxy."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.proxies import Client, identify, parse_networks

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.0.0.1", "10.3.3.3", "10.3.3.3"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("fd00::1", "2001:DB8::5", "2001:db8::5"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_address_is_the_last_one_that_no_trusted_proxy_has(peer, forwarded, address):
    headers = {"X-Forwarded-For": forwarded}
    assert identify(peer, "http", "web:8080", headers, TRUSTED).address == address


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("10.0.0.1", {}, Client("10.0.0.1", "http", "web")),
        (
            "10.0.0.1",
            {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"},
            Client("192.0.2.9", "https", "hub.example"),
        ),
        (
            "192.0.2.1",
            {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"},
            Client("192.0.2.1", "http", "web"),
        ),
        (
            "10.0.0.1",
            {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "gopher"},
            Client("192.0.2.9", "http", "web"),
        ),
        ("10.0.0.1", {"X-Forwarded-Proto": "https"}, Client("10.0.0.1", "https", "web")),
        ("10.0.0.1", {"Forwarded": "for=192.0.2.9;proto=https;host=hub"}, Client("192.0.2.9", "https", "hub")),
        ("10.0.0.1", {"Forwarded": 'For="[2001:db8::1]:47011"; Proto=HTTPS'}, Client("2001:db8::1", "https", "web")),
        ("10.0.0.1", {"Forwarded": 'for="192.0.2.9:80";host="a,b"'}, Client("192.0.2.9", "http", "a,b")),
        (
            "10.0.0.1",
            {"Forwarded": "for=1.1.1.1;host=evil, for=192.0.2.9;host=hub, for=10.0.0.2;host=inner"},
            Client("192.0.2.9", "http", "hub"),
        ),
        ("10.0.0.1", {"Forwarded": "for=unknown;host=hub"}, Client("10.0.0.1", "http", "web")),
        ("10.0.0.1", {"Forwarded": "nonsense", "X-Forwarded-For": "192.0.2.9"}, Client("10.0.0.1", "http", "web")),
        ("192.0.2.1", {"Forwarded": "for=1.1.1.1;host=evil"}, Client("192.0.2.1", "http", "web")),
    ],
)
def test_scheme_and_host_are_believed_from_trusted_proxies_only(peer, headers, expected):
    assert identify(peer, "http", "web", headers, TRUSTED) == expected


@given(st.text(max_size=60))
def test_no_header_can_make_it_fail(text):
    identify("10.0.0.1", "http", "web", {"Forwarded": text}, TRUSTED)
    identify("10.0.0.1", "http", "web", {"X-Forwarded-For": text}, TRUSTED)


def test_networks_are_read():
    assert parse_networks(["10.0.0.0/8", "fd00::/8"]) == TRUSTED
    with pytest.raises(ValueError, match=r"^'ten' is not a network such as 10\.0\.0\.0/8$"):
        parse_networks(["10.0.0.1", "ten"])
