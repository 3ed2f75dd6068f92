"""What a request asks, read from the bytes of its head alone, where they leave no doubt. Pure.

Two requests that differ in who asks, by which program and on which errand ask the same question: it is the method, the
target, and those headers that bear on an answer of ours. Read is only what the framework is certain to accept, and to
understand in the same way; for every other head there is no question here, and the framework decides.

Sources: RFC 9112 sections 2 to 5 (the form of a message, a request line and a field), 6.3 (what announces a body) and
9.3 (connections that stay); RFC 9110 sections 5.3 (the order of fields), 5.5 (values), 7.2 (Host), 7.6.1 (Connection),
7.8 (Upgrade) and 10.1.1 (Expect).
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

BEARING: Final = (b"host", b"accept", b"if-none-match", b"range", b"if-range")
"""The headers that an answer to GET or HEAD may depend on, in lower case: a handler that reads another adds it here."""

MOST_BYTES: Final = 8 << 10
"""A longer head is not read. It is less than what the framework lets a line or a field have."""

Key = tuple[bytes | None, ...]
"""A question, to be compared with others: the request line without its version, and the values of BEARING."""

_PATH: Final = rb"/[A-Za-z0-9._~:@/-]*+"
_QUERY: Final = rb"\?(?:[A-Za-z0-9._~:@/&=+,-]++|%[0-9A-Fa-f]{2})*"
_MOST_FIELDS: Final = 128
# No byte is ever read in two ways: the time grows with the length of a head, and no faster.
_SHAPE: Final = re.compile(
    rb"((?:GET|HEAD) %b(?:%b)?) HTTP/1\.1\r\n(?:[A-Za-z0-9-]++:[ -~]*+\r\n){1,%d}\r\n" % (_PATH, _QUERY, _MOST_FIELDS)
)
_WHOLE: Final = re.compile(rb"(?:GET|HEAD) /[^\r\n]* HTTP/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n")
_HAS_MORE: Final = re.compile(rb"\r\n(?:content-length|transfer-encoding|upgrade|expect)[ \t]*:", re.IGNORECASE)
_AUTHORIZATION: Final = b"authorization"
_CONNECTION: Final = b"connection"
_AGENT: Final = b"user-agent"
_READ: Final = frozenset({*BEARING, _AUTHORIZATION, _CONNECTION, _AGENT})
_REFUSED: Final = (
    *(b"content-[a-z0-9-]++", b"transfer-encoding", b"expect"),  # there is more than a head
    *(b"upgrade", b"proxy-connection", b"sec-websocket-[a-z0-9-]++"),  # the connection is to become another
    *(b"etag", b"max-forwards", b"server"),  # the framework lets them come once, and they have no place here
)
_FIELD: Final = rb"\r\n(%b): *+([^\r]*+)"
_FIELDS: Final = re.compile(_FIELD % b"|".join((*sorted(_READ), *_REFUSED)), re.IGNORECASE)
_AGENTS: Final = re.compile(_FIELD % _AGENT, re.IGNORECASE)


class Question(NamedTuple):
    """What a request asks, and the value of its Authorization header, which says who asks."""

    key: Key
    authorization: str | None


def question_of(head: bytes) -> Question | None:
    """Return what a request asks, if the bytes are one whole GET or HEAD without a body and beyond doubt."""
    shape = _SHAPE.fullmatch(head) if len(head) <= MOST_BYTES else None
    if shape is None:
        return None
    given: dict[bytes, bytes] = {}
    for name, text in _FIELDS.findall(head):
        field, value = name.lower(), text.rstrip(b" ")
        if field not in given:
            given[field] = value
        elif field == b"accept":
            given[field] += b"\n" + value  # what no value can hold
        else:
            return None
    if given.keys() <= _READ and b"host" in given and given.get(_CONNECTION, b"keep-alive").lower() == b"keep-alive":
        token = given.get(_AUTHORIZATION)
        return Question((shape[1], *map(given.get, BEARING)), None if token is None else token.decode("ascii"))
    return None


def is_whole(data: bytes) -> bool:
    """Tell whether bytes are one request, from its first to its last, without a body or anything that follows."""
    return (
        len(data) <= MOST_BYTES
        and data.endswith(b"\r\n\r\n")
        and _WHOLE.fullmatch(data) is not None
        and _HAS_MORE.search(data) is None
    )


def is_head_of(raw: bytes, method: str, target: str, fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether somebody else has read just the same in some bytes: no other request, no other header."""
    first, *lines = raw[: -len(b"\r\n\r\n")].split(b"\r\n")
    read = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    return first == f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape") and read == list(fields)


def agent_of(head: bytes) -> str | None:
    """Return the value of the User-Agent header of a head that asks a question, for the log."""
    found = _AGENTS.search(head)
    return None if found is None else found[2].rstrip(b" ").decode("ascii")
