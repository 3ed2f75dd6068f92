"""Garbage where a form, a cookie or a header should be: the sender is told so, and the log holds no traceback."""

import base64
import logging

import pytest

FORMS = ("/login", "/logout", "/language", "/api/auth", "/account/updatePassword", "/user/create", "/role/create")
MULTIPART = "multipart/form-data; boundary=x"
CHARSET_OF_A_PART = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=bogus\r\n\r\nv\r\n--x--\r\n'
)
URLENCODED = "application/x-www-form-urlencoded"


@pytest.fixture
def tracebacks(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--\r\n"),
        (MULTIPART, b"--other\r\n\r\nvalue\r\n--other--\r\n"),
        (MULTIPART, CHARSET_OF_A_PART),
        (f"{URLENCODED}; charset=bogus", b"name=a"),
        (f"{URLENCODED}; charset=base64", b"name=a"),
        (URLENCODED, b"name=\xff\xfe"),
    ],
    ids=["no boundary", "another boundary", "charset of a part", "no charset", "no text encoding", "no UTF-8"],
)
async def test_a_form_that_cannot_be_read_is_a_400(console, tracebacks, path, content_type, body):
    visitor = await console.admin()
    headers = {"Content-Type": content_type}
    response = await visitor.client.post(path, data=body, headers=headers, allow_redirects=False)
    assert response.status == 400
    assert "The form cannot be read." in await response.text()
    assert tracebacks() == []


@pytest.mark.parametrize("name", ["cangku_session", "cangku_visitor", "cangku_language", "cangku_notice"])
@pytest.mark.parametrize("value", [b"\xff", b"\xc3\xa9", b'"\\377"', b"\xed\xa0\x80"])
async def test_a_cookie_that_is_not_ours_is_none(console, tracebacks, name, value):
    status, page = await console.raw(b"GET /login HTTP/1.1", b"Cookie: %s=%s" % (name.encode(), value))
    assert status == 200
    assert b"Sign in" in page
    await console.raw(b"POST /logout HTTP/1.1", b"Cookie: %s=%s" % (name.encode(), value))
    assert tracebacks() == []


@pytest.mark.parametrize("notice", [b"[" * 3000, b'"\\ud800 hello"', b"\xff", b"5", b"{"], ids=ascii)
async def test_a_notice_that_is_not_ours_breaks_no_page(console, tracebacks, notice):
    cookie = b"Cookie: cangku_notice=" + base64.urlsafe_b64encode(notice)
    status, page = await console.raw(b"GET /login HTTP/1.1", cookie)
    assert status == 200
    assert b"Sign in" in page
    assert tracebacks() == []


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "\\", "null"])
async def test_an_origin_that_is_no_address_is_another_site(console, tracebacks, origin):
    visitor = await console.visitor()
    response = await visitor.post("/login", {"Origin": origin}, name="admin", password="admin")
    assert response.status == 403
    assert tracebacks() == []


async def test_the_server_does_not_tell_what_it_is_made_of(console):
    visitor = await console.visitor()
    for path in ("/login", "/api/health", "/static/console.css", "/nowhere"):
        assert (await visitor.get(path)).headers["Server"] == "Cangku"


@pytest.mark.parametrize(
    "target",
    [b"/%FF", b"/login?next=%FF", b"/login?next=%ED%A0%80", b"/%ED%A0%80", b"/repo/tags/%ED%A0%80", b"/?q=%00"],
)
async def test_an_address_that_is_no_text_is_no_failure(console, tracebacks, target):
    status, _ = await console.raw(
        b"GET %s HTTP/1.1" % target, b"Accept-Language: \xff", b"Referer: \xff", b"Origin: \xff"
    )
    assert status < 500
    assert tracebacks() == []
