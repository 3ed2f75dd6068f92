"""A token server that signs each token with RSA-4096, as the original does: what ours is measured against.

Not for use: it asks nobody for a password. Run as `python -m scripts.benchmark.signer PORT KEY`.
"""

import sys
import time
import uuid
from pathlib import Path
from typing import Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_LIFETIME_SECONDS: Final = 300


def main() -> None:
    """Serve until a signal comes."""
    port, path = int(sys.argv[1]), Path(sys.argv[2])
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError(f"{path} holds no RSA key")

    async def issue(request: web.Request) -> web.Response:
        now = int(time.time())
        access = [_access(scope) for scope in request.query.getall("scope", [])]
        claims = {
            "iss": "bench", "sub": request.query.get("account", ""), "aud": request.query.get("service", ""),
            "exp": now + _LIFETIME_SECONDS, "nbf": now, "iat": now, "jti": str(uuid.uuid4()), "access": access,
        }  # fmt: skip
        return web.json_response({"token": jwt.encode(claims, key, "RS256"), "expires_in": _LIFETIME_SECONDS})

    app = web.Application()
    app.router.add_get("/api/auth", issue)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


def _access(scope: str) -> dict[str, object]:
    kind, name, actions = scope.split(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


if __name__ == "__main__":
    main()
