"""One HTTP request to a service of this machine, and its whole answer."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def get(url: str, *, login: tuple[str, str] | None = None, token: str = "", accept: str = "") -> Answer:
    """Ask as the user `login`, or with a bearer token, or as nobody."""
    headers: Mapping[str, str] = {
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **({"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"} if login else {}),
        **({"Accept": accept} if accept else {}),
    }
    try:
        with _OPENER.open(urllib.request.Request(url, headers=dict(headers)), timeout=10) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def request(method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send any request as nobody."""
    asked = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
    try:
        with _OPENER.open(asked, timeout=30) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
