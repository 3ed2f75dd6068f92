"""/api/auth/jwks: the public key of the token server, for registries that trust keys instead of certificates.

Source: RFC 7517, sections 5 and 8.5.2 (the media type).
"""

from typing import Final

from aiohttp import web

from web_service.views import answers
from web_service.views.routing import PARTS
from web_service.views.token import SWITCHED_OFF

_MEDIA_TYPE: Final = "application/jwk-set+json"
_CACHE: Final = "public, max-age=300"
"""Minutes: a new key is in the document from the start on with it, and nobody asks for it at every token."""


async def get_jwks(request: web.Request) -> web.Response:
    """Answer with the key set that a registry may keep as its auth.token.jwks."""
    issuer = request.app[PARTS].settings.issuer
    if issuer is None:
        return answers.error(404, SWITCHED_OFF)
    return web.json_response(issuer.jwks(), content_type=_MEDIA_TYPE, headers={"Cache-Control": _CACHE})
