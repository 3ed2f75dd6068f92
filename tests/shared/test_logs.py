"""Log lines."""

import asyncio
import io
import json
import logging
import re

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from hypothesis import given
from hypothesis import strategies as st

from shared.logs import LineTemplate, configure, fields

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


@pytest.fixture(autouse=True)
def root_logger_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def utf16(text):
    """Return a text so that it can be compared with one in which two surrogates have become one character."""
    return text.encode("utf-16-le", "surrogatepass")


def written(form, level="info", **values):
    """Return what one call of `log.info` or the level named leaves in the log."""
    stream = io.StringIO()
    configure("debug", form, stream)
    logging.getLogger("registry.x").log(getattr(logging, level.upper()), "it %s", "happened", extra=fields(**values))
    return stream.getvalue()


def test_a_text_line_has_time_level_logger_message_and_fields():
    line = written("text", user="alice", status=200)
    assert re.fullmatch(STAMP + r" info  registry\.x: it happened user=alice status=200\n", line)


def test_a_json_line_holds_the_same_as_an_object():
    document = json.loads(written("json", user="älice", status=200, missing=None))
    assert re.fullmatch(STAMP, document.pop("time"))
    assert document == {"level": "info", "logger": "registry.x", "msg": "it happened", "user": "älice", "status": 200}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain/text:1", "plain/text:1"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        ("line\nbreak", r'"line\nbreak"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("中文", "中文"),
        ("back\\slash", r'"back\\slash"'),
        ("next\x85line", r'"next\u0085line"'),
        ("caf\udce9", r'"caf\udce9"'),
        (1.5, "1.5"),
        (ValueError("two words"), '"two words"'),
    ],
    ids=ascii,
)
def test_a_text_field_cannot_be_taken_for_two(value, shown):
    assert written("text", field=value).endswith(f" field={shown}\n")


def test_a_field_of_none_is_left_out():
    assert written("text", user=None).endswith("it happened\n")


@given(st.text(st.characters(exclude_categories=())), st.sampled_from(["text", "json"]))
def test_no_value_and_no_message_makes_a_second_line_or_fails_to_be_written(text, form):
    """Also not a header that is not UTF-8, which aiohttp hands over with lone surrogates in it."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="utf-8", errors="strict", write_through=True) as stream:
        configure("info", form, stream)
        logging.getLogger("x").info("%s", text, extra=fields(value=text))
        (line,) = raw.getvalue().decode().splitlines()
    assert line.isprintable()
    if form == "json":
        assert utf16(json.loads(line)["value"]) == utf16(text)


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("error", ["error"]),
        ("warn", ["error", "warn"]),
        ("info", ["error", "warn", "info"]),
        ("debug", ["error", "warn", "info", "debug"]),
    ],
)
def test_a_level_shows_itself_and_what_is_graver(level, shown):
    stream = io.StringIO()
    configure(level, "json", stream)
    for number in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
        logging.getLogger("x").log(number, "m")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_stays_on_its_line_with_its_traceback(form):
    stream = io.StringIO()
    configure("info", form, stream)
    try:
        int("the cause")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    (line,) = stream.getvalue().splitlines()
    assert "Traceback" in line
    assert "the cause" in line


def test_the_last_configuration_counts():
    first, second = io.StringIO(), io.StringIO()
    configure("info", "text", first)
    configure("info", "text", second)
    logging.getLogger("x").info("m")
    assert first.getvalue() == ""
    assert second.getvalue() != ""


def test_the_standard_output_is_the_default(capsys):
    configure("info")
    logging.getLogger("x").info("m")
    assert " x: m" in capsys.readouterr().out


@pytest.mark.parametrize("level", ["info", "error"])
def test_a_request_that_is_no_http_is_a_line_and_no_failure(level):
    """The framework logs it as an error of its own, with a traceback."""
    stream = io.StringIO()
    configure(level, "text", stream)
    try:
        raise BadHttpMessage("Content-Length\nis odd")
    except BadHttpMessage:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "10.0.0.1")
    line = stream.getvalue()
    expected = STAMP + r' info  aiohttp\.server: bad request reason="Content-Length is odd"\n'
    assert re.fullmatch(expected, line) if level == "info" else line == ""


def test_a_real_failure_keeps_its_traceback():
    stream = io.StringIO()
    configure("error", "text", stream)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    assert "Traceback" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_takes_the_place_of_a_part_of_the_line(form):
    stream = io.StringIO()
    configure("info", form, stream)
    clashing = {"time": "t", "level": "l", "logger": "g", "msg": "m", "error": "e"}
    try:
        int("the cause")
    except ValueError:
        logging.getLogger("x").exception("it failed", extra=fields(**clashing))
    line = stream.getvalue()
    if form == "text":
        assert re.match(STAMP + " error x: it failed field_time=t field_level=l field_logger=g field_msg=m", line)
        assert " field_error=e error=" in line
    else:
        parts = json.loads(line)
        assert (parts["level"], parts["logger"], parts["msg"]) == ("error", "x", "it failed")
        assert {f"field_{key}": value for key, value in clashing.items()}.items() <= parts.items()
        assert "the cause" in parts["error"]


def test_a_field_called_error_stays_so_where_there_is_no_traceback():
    assert json.loads(written("json", error="e"))["error"] == "e"


def template():
    return LineTemplate(logging.getLogger("registry.x"), "%s %s", "GET", "/v2/", bytes=2, address="", agent='a "b"')


@pytest.mark.parametrize("form", ["text", "json"])
async def test_prepared_lines_are_as_others_and_come_in_order_with_them(form):
    stream = io.StringIO()
    configure("info", form, stream)
    log, one = logging.getLogger("registry.x"), template()
    first, second = one.addressed("10.0.0.1:1"), one.addressed("10.0.0.2:2")
    first()
    second()
    log.info("%s %s", "GET", "/v2/", extra=fields(bytes=2, address="10.0.0.3:3", agent='a "b"'))
    first()
    assert stream.getvalue().count("\n") == 3
    await asyncio.sleep(0)
    lines = [re.sub(STAMP, "TIME", line) for line in stream.getvalue().splitlines()]
    assert [re.search(r"10\.0\.0\.(\d):\1", line)[1] for line in lines] == ["1", "2", "3", "1"]
    (shown,) = {re.sub(r"10\.0\.0\.\d:\d", "ADDRESS", line) for line in lines}
    assert "TIME" in shown


async def test_prepared_lines_go_to_whoever_else_listens(caplog):
    configure("info", "text", io.StringIO())
    logging.getLogger().addHandler(caplog.handler)
    template().addressed("10.0.0.1:1")()
    (record,) = caplog.records
    assert (record.getMessage(), record.fields["address"], record.fields["bytes"]) == ("GET /v2/", "10.0.0.1:1", 2)
