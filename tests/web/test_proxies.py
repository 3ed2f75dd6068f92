import ipaddress

import pytest

from web_service.proxies import Client, identify

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


def test_scheme_and_host_are_believed_from_trusted_proxies_only():
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example"}
    assert identify("10.0.0.1", "http", "web", headers, TRUSTED) == Client("10.0.0.1", "https", "hub.example")
    assert identify("192.0.2.1", "http", "web", headers, TRUSTED) == Client("192.0.2.1", "http", "web")
    odd = {"X-Forwarded-Proto": "gopher"}
    assert identify("10.0.0.1", "http", "web", odd, TRUSTED) == Client("10.0.0.1", "http", "web")
