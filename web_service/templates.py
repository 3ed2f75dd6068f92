"""The page templates, one set per language, read and compiled before the first request."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2

from web_service.i18n import Language, Languages

FOLDER: Final = Path(__file__).parent / "templates"


@cache
def languages() -> Languages:
    """Return the languages of the console; the catalogs are part of the program and read once."""
    return Languages()


@cache
def environment(code: str) -> jinja2.Environment:
    """Return the templates in the language of that code."""
    language = languages()[code]
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= _filters(language)
    installed: Any = templates  # the methods of the i18n extension are added at run time
    installed.install_gettext_translations(language.translations, newstyle=True)
    for name in templates.list_templates():
        templates.get_template(name)
    return templates


def _filters(language: Language) -> dict[str, Callable[..., Any]]:
    return {
        "size": language.size,
        "ago": language.ago,
        "moment": language.moment,
        "problem": language.problem,
        "iso": lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat(),
        "short": lambda digest: digest.partition(":")[2][:12] or digest[:12],
    }
