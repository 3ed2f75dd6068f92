"""The registry's HTTP API: the table of its routes, with what each demands of its caller."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from registry_service.api import blobs, extensions, listing, manifests, ops, uploads
from registry_service.api.answering import Answering
from registry_service.api.express import EXPRESS, Express
from registry_service.api.middleware import Handler, add_headers, authorized, frame
from registry_service.api.requests import IN_FLIGHT, PARTS, TRUSTED, Parts, leave_expectation, parts_of
from registry_service.auth import Need
from registry_service.errors import Code, RegistryError
from shared.draining import InFlight
from shared.proxies import parse_networks

_MANIFEST: Final = "/v2/{name:.+}/manifests/{reference:[^/]+}"
_UPLOADS: Final = "/v2/{name:.+}/blobs/uploads/"
_UPLOAD: Final = "/v2/{name:.+}/blobs/uploads/{upload:[^/]+}"
_BLOB: Final = "/v2/{name:.+}/blobs/{digest:[^/]+}"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: `writes` marks what a read-only registry refuses."""

    method: str
    path: str
    handler: Handler
    need: Need
    writes: bool = False


# In the order in which the router tries them: what is asked for most comes first.
ROUTES: Final = (
    Route("GET", "/", ops.health, Need.NOTHING),
    Route("HEAD", "/", ops.health, Need.NOTHING),
    Route("GET", "/v2/", ops.ping, Need.LOGIN),
    Route("HEAD", "/v2/", ops.ping, Need.LOGIN),
    Route("GET", "/v2", ops.ping, Need.LOGIN),
    Route("GET", "/v2/_catalog", listing.get_catalog, Need.CATALOG),
    Route("GET", _MANIFEST, manifests.get_manifest, Need.PULL),
    Route("HEAD", _MANIFEST, manifests.get_manifest, Need.PULL),
    Route("PUT", _MANIFEST, manifests.put_manifest, Need.PUSH, writes=True),
    Route("DELETE", _MANIFEST, manifests.delete_manifest, Need.DELETE, writes=True),
    Route("POST", _UPLOADS, uploads.post_upload, Need.PUSH, writes=True),
    Route("POST", _UPLOADS.rstrip("/"), uploads.post_upload, Need.PUSH, writes=True),
    Route("GET", _UPLOAD, uploads.get_upload, Need.PULL),
    Route("HEAD", _UPLOAD, uploads.get_upload, Need.PULL),
    Route("PATCH", _UPLOAD, uploads.patch_upload, Need.PUSH, writes=True),
    Route("PUT", _UPLOAD, uploads.put_upload, Need.PUSH, writes=True),
    Route("DELETE", _UPLOAD, uploads.delete_upload, Need.PUSH, writes=True),
    Route("GET", _BLOB, blobs.get_blob, Need.PULL),
    Route("HEAD", _BLOB, blobs.get_blob, Need.PULL),
    Route("DELETE", _BLOB, blobs.delete_blob, Need.DELETE, writes=True),
    Route("GET", "/v2/_oci/ext/discover", extensions.discover, Need.LOGIN),
    Route("GET", "/v2/{name:.+}/_oci/ext/discover", extensions.discover, Need.PULL),
    Route("GET", f"/v2/{{name:.+}}/{extensions.TAGS}", extensions.list_tags, Need.PULL),
    Route("GET", "/v2/{name:.+}/tags/list", listing.get_tags, Need.PULL),
    Route("GET", "/v2/{name:.+}/referrers/{digest:[^/]+}", listing.get_referrers, Need.PULL),
)


def create_api(parts: Parts) -> web.Application:
    """Return the application that serves the table."""
    app = web.Application(middlewares=[frame])
    app[PARTS] = parts
    app[IN_FLIGHT] = InFlight()
    app[TRUSTED] = parse_networks(parts.config.http.trustedproxies)
    # Behind a proxy it is a header that tells who asks, and the line in the log names the client.
    anew = Answering(parts).answer
    app[EXPRESS] = Express(parts.registry.driver, parts.auth, anew, by_meaning=not app[TRUSTED])
    for route in ROUTES:
        handler = _writable(route.handler) if route.writes else route.handler
        path = route.path if route.path == "/" else parts.config.http.prefix.rstrip("/") + route.path
        app.router.add_route(route.method, path, authorized(route.need, handler), expect_handler=leave_expectation)
    app.on_response_prepare.append(add_headers)
    return app


def _writable(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        if parts_of(request).config.storage.maintenance.readonly.enabled:
            raise RegistryError(Code.UNSUPPORTED, None, "the registry is read-only for now")
        return await handler(request)

    return checked
