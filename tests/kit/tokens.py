"""Registry tokens made by hand, and a docker configuration that presents one as it is."""

import json
import time
from pathlib import Path

import jwt


def sign_token(key: Path, name: str, *, actions: tuple[str, ...] = ("pull", "push"), age: int = 0) -> str:
    """Return a token for one repository, valid for five minutes and issued `age` seconds ago."""
    issued = int(time.time()) - age
    claims = {
        "iss": "test",
        "sub": "somebody",
        "aud": "registry:5000",
        "iat": issued,
        "nbf": issued - 10,
        "exp": issued + 300,
        "jti": str(time.monotonic_ns()),
        "access": [{"type": "repository", "name": name, "actions": list(actions)}],
    }
    return jwt.encode(claims, key.read_text(), "ES256")


def present_token(docker_config: Path, registry: str, token: str) -> None:
    """Have the docker command send this token instead of asking for one."""
    docker_config.mkdir(parents=True, exist_ok=True)
    (docker_config / "config.json").write_text(json.dumps({"auths": {registry: {"registrytoken": token}}}))
