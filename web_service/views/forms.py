"""Forms and cookies as browsers and programs send them; what cannot be read is told to the sender."""

import asyncio
from typing import Final

from aiohttp import web
from multidict import MultiDict

from shared.texts import clean
from web_service.errors import N_, Invalid

_PATIENCE_SECONDS: Final = 60


async def posted(request: web.Request) -> MultiDict[str]:
    """Return the text fields of a form; raises Invalid when there is no reading it."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            fields = await request.post()
    except web.HTTPException:
        raise
    except TimeoutError:
        raise Invalid(N_("The form took too long to arrive.")) from None
    except Exception as error:  # the framework has no one error for a broken form
        raise Invalid(N_("The form cannot be read.")) from error
    return MultiDict((clean(key), clean(value)) for key, value in fields.items() if isinstance(value, str))


def cookie(request: web.Request, name: str) -> str:
    """Return a cookie of ours, empty where there is none; ours are plain ASCII."""
    text = request.cookies.get(name, "")
    return text if text.isascii() else ""
