"""The REST API of a running console, as a program uses it without a client library."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rest:
    """The API as one user; `secret` is a password or an access token."""

    url: str
    user: str
    secret: str

    def __call__(self, method: str, path: str, document: Any = None) -> Any:
        """Return the document of the answer, None for an empty one; whatever is refused fails the test."""
        credentials = base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            data=None if document is None else json.dumps(document).encode(),
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(body) if body else None
