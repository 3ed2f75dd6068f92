"""Name and secret as programs send them."""

import base64

import pytest

from web_service.views.credentials import basic_credentials


def encoded(raw):
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Basic {encoded(b'dev:secret')}", ("dev", "secret")),
        (f"  bAsIc   {encoded(b'dev:a:b')} ", ("dev", "a:b")),
        (f"Basic {encoded(b':')}", ("", "")),
        (f"Basic {encoded('李雷:密码'.encode())}", ("李雷", "密码")),
        (f"Basic {encoded('dév:x'.encode('latin-1'))}", ("dév", "x")),
        (f"Basic {encoded(b'no colon')}", None),
        (f"Bearer {encoded(b'dev:secret')}", None),
        ("Basic %%%", None),
        ("Basic é", None),
        ("Basic", None),
        ("", None),
    ],
)
def test_what_a_header_says(header, expected):
    assert basic_credentials(header) == expected
