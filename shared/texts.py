"""Texts that strangers wrote, made such that UTF-8, JSON and databases can hold them."""

import re
from typing import Final

_UNUSABLE: Final = re.compile("[\0\ud800-\udfff]")


def clean(text: str) -> str:
    """Return the text with NUL and halves of characters replaced, which UTF-8 and databases cannot hold."""
    return _UNUSABLE.sub("\ufffd", text)
