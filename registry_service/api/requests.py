"""What handlers read off a request: the parts of the service, names and digests, the body, where it came from."""

import uuid
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from registry_service.api.bodies import RequestBody
from registry_service.auth import Identity, TokenAuth
from registry_service.config import Config
from registry_service.errors import Code, RegistryError
from registry_service.notifications import Notifier, Origin
from registry_service.referrers import Referrers
from registry_service.registry import Registry
from registry_service.summaries import Summaries
from registry_service.uploads import Uploads
from shared.draining import InFlight
from shared.names import Digest, InvalidDigest, InvalidName, InvalidTag, Reference, check_repository, parse_reference
from shared.proxies import Client, Network, identify, plain_address


@dataclass(frozen=True)
class Parts:
    """What the API is made of; `auth` None lets everybody do everything."""

    config: Config
    registry: Registry
    uploads: Uploads
    summaries: Summaries
    referrers: Referrers
    notifier: Notifier
    auth: TokenAuth | None


PARTS: Final = web.AppKey("parts", Parts)
TRUSTED: Final = web.AppKey[tuple[Network, ...]]("trusted proxies")
IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
ADDRESS: Final = web.RequestKey("address", str)
CLIENT: Final = web.RequestKey("client", Client)
IDENTITY: Final = web.RequestKey("identity", Identity)


def parts_of(request: web.Request) -> Parts:
    """Return the service's parts."""
    return request.app[PARTS]


def repository_of(request: web.Request) -> str:
    """Return the repository that the path names; raises NAME_INVALID."""
    return check_name(request.match_info["name"])


def check_name(name: str) -> str:
    """Return a valid repository name; raises NAME_INVALID."""
    try:
        return check_repository(name)
    except InvalidName as error:
        raise RegistryError(Code.NAME_INVALID, {"name": name[:300]}, str(error)) from None


def digest_of(request: web.Request) -> Digest:
    """Return the digest that the path names; raises DIGEST_INVALID."""
    return parse_digest(request.match_info["digest"])


def parse_digest(text: str) -> Digest:
    """Return a digest; raises DIGEST_INVALID."""
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise RegistryError(Code.DIGEST_INVALID, {"digest": text[:300]}, str(error)) from None


def reference_of(request: web.Request) -> Reference:
    """Return the tag or digest that the path names; raises TAG_INVALID or DIGEST_INVALID.

    Reading a tag that can never exist is MANIFEST_UNKNOWN: the question is fair, the answer is no.
    """
    text = request.match_info["reference"]
    try:
        return parse_reference(text)
    except InvalidDigest as error:
        raise RegistryError(Code.DIGEST_INVALID, {"digest": text[:300]}, str(error)) from None
    except InvalidTag as error:
        code = Code.TAG_INVALID if request.method == "PUT" else Code.MANIFEST_UNKNOWN
        raise RegistryError(code, {"tag": text[:300]}, str(error)) from None


def origin_of(request: web.Request) -> Origin:
    """Return where a request came from and who made it, for the events."""
    identity = request.get(IDENTITY, Identity())
    return Origin(
        request_id=str(uuid.uuid4()),
        address=identity.client_address or client_address(request),
        host=client_of(request).host,
        method=request.method,
        user_agent=request.headers.get("User-Agent", ""),
        actor=identity.subject,
    )


def client_of(request: web.Request) -> Client:
    """Return who is behind the trusted proxies, and scheme and host as it wrote them."""
    found = request.get(CLIENT)
    if found is None:
        trusted = request.app[TRUSTED]
        found = identify(_peer(request)[0], request.scheme, request.host, request.headers, trusted)
        request[CLIENT] = found
    return found


def client_address(request: web.Request) -> str:
    """Return `address:port` of the other end, an IPv6 address in brackets; no port behind a proxy."""
    known = request.get(ADDRESS)
    if known is None:
        known = connection_address(request)
        if request.app[TRUSTED]:
            behind = client_of(request).address
            known = known if behind == plain_address(_peer(request)[0]) else behind
        request[ADDRESS] = known
    return known


def connection_address(request: web.Request) -> str:
    """Return `address:port` of who has made the connection, a proxy or a client."""
    peer, port = _peer(request)
    return address_of(peer, port)


def address_of(peer: str, port: int) -> str:
    """Return `address:port` in the form of the log."""
    plain = plain_address(peer)
    return f"[{plain}]:{port}" if ":" in plain else f"{plain}:{port}"


def _peer(request: web.Request) -> tuple[str, int]:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return (peer[0], peer[1]) if isinstance(peer, tuple) else ("", 0)


def url_for(request: web.Request, path: str, *, absolute: bool = False) -> str:
    """Return the URL by which clients reach a path: relative unless the configuration or the caller wants it whole."""
    http = request.app[PARTS].config.http
    path = http.prefix.rstrip("/") + path
    if http.host:
        return http.host.rstrip("/") + path
    if http.relativeurls and not absolute:
        return path
    client = client_of(request)
    return f"{client.scheme}://{client.host}{path}"


async def leave_expectation(request: web.Request) -> None:
    """Do not answer `Expect: 100-continue` before the request is authorised; `bodies` answers it."""


async def manifest_body_of(request: web.Request) -> bytes:
    """Return a body that must fit into memory; raises MANIFEST_INVALID with status 413 when it is too large."""
    limit = parts_of(request).config.validation.manifests.payloadsizelimit
    body = bytearray()
    too_large = (request.content_length or 0) > limit
    if not too_large:
        async for chunk in RequestBody(request):
            body += chunk
            if len(body) > limit:
                too_large = True
                break
    if too_large:
        raise RegistryError(Code.MANIFEST_INVALID, None, f"a manifest has at most {limit} bytes", status=413)
    return bytes(body)
