"""The languages of the console: texts, dates and sizes as the reader expects them.

English is the language of the source; a catalog in locale/ adds another. The catalogs are compiled in memory at
start, so there is no compiled file that could be out of date.
"""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from web_service.errors import Problem

FOLDER: Final = Path(__file__).parent / "locale"
DEFAULT: Final = "en"
NAMES: Final[Mapping[str, str]] = {"en": "English", "zh-CN": "简体中文"}
"""The languages by their code, each named in itself."""

_CATALOGS: Final = {"zh-CN": "zh_CN"}
_UNITS: Final = ("KB", "MB", "GB", "TB", "PB", "EB")
_STEP: Final = 1000


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its texts, and how it writes dates and sizes."""

    code: str
    locale: Locale
    translations: NullTranslations
    clock: Callable[[], float] = time.time

    def gettext(self, message: str) -> str:
        """Translate a text."""
        return self.translations.gettext(message)

    def problem(self, problem: Problem) -> str:
        """Return what to tell a user about a problem."""
        return problem.text(self.gettext)

    def moment(self, seconds: float) -> str:
        """Return a date and time in the time zone of the server, with that zone."""
        local = datetime.fromtimestamp(seconds, UTC).astimezone()
        return f"{format_datetime(local, 'yyyy-MM-dd HH:mm:ss', locale=self.locale)} {local.strftime('%z')}"

    def ago(self, seconds: float) -> str:
        """Return how long ago a moment was, in words."""
        passed = timedelta(seconds=seconds - self.clock())
        return format_timedelta(passed, granularity="second", threshold=1, add_direction=True, locale=self.locale)

    def size(self, count: int) -> str:
        """Return bytes in decimal units: none below a thousand, tenths from a megabyte up."""
        if count < _STEP:
            return f"{count} B"
        value, unit, digits = count / _STEP, 0, 0
        while round(value, digits) >= _STEP and unit < len(_UNITS) - 1:
            value, unit, digits = value / _STEP, unit + 1, 1
        return f"{value:.{digits}f} {_UNITS[unit]}"


class Languages:
    """All languages, and the choice among them."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._languages = {code: _load(code, folder) for code in NAMES}

    def __getitem__(self, code: str) -> Language:
        return self._languages[code]

    def choose(self, *wishes: str, accept: str = "") -> Language:
        """Return the first wish that is a language of ours, else the best one of an Accept-Language header."""
        for wish in (*wishes, *_accepted(accept)):
            code = _known(wish)
            if code is not None:
                return self._languages[code]
        return self._languages[DEFAULT]


def _load(code: str, folder: Path) -> Language:
    language = Language(code, Locale.parse(code, sep="-"), NullTranslations())
    if code in _CATALOGS:
        language = Language(code, Locale.parse(_CATALOGS[code]), _translations(_CATALOGS[code], folder))
    language.ago(0)  # Babel reads its own data when it is first needed: now, not while somebody waits
    language.moment(0)
    return language


def _translations(name: str, folder: Path) -> Translations:
    compiled = io.BytesIO()
    with (folder / name / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=name))
    compiled.seek(0)
    return Translations(compiled)


def _known(wish: str) -> str | None:
    """Return our code for a language tag: zh, zh-Hans and zh-CN are the same to us."""
    if not wish:
        return None
    wanted = wish.strip().lower().replace("_", "-")
    exact = {code.lower(): code for code in NAMES}
    primary = {code.lower().partition("-")[0]: code for code in NAMES}
    return exact.get(wanted) or primary.get(wanted.partition("-")[0])


def _accepted(header: str) -> list[str]:
    if not header:
        return []
    weighted: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, parameter = part.partition(";")
        try:
            weight = float(parameter.partition("q=")[2] or 1)
        except ValueError:
            weight = 0.0
        if weight > 0:
            weighted.append((-weight, tag.strip()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]
