"""Name and secret as HTTP Basic carries them (RFC 7617)."""

import base64
import binascii


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return name and secret of an Authorization header; None for another scheme, or what cannot be read."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, secret = text.partition(":")
    return (name, secret) if colon else None
