"""The token server beside a registry that asks for tokens: keys, a token to send along, the token endpoint itself."""

import asyncio
import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from scripts.benchmark.load import Sample, wrk
from scripts.benchmark.reading import IMAGE
from scripts.benchmark.scene import Row, Scene
from scripts.benchmark.sides import ROOT, Program, Side, free_port, until_answered
from shared.tokens import parse_scopes
from web_service.keys import read_pair
from web_service.tokens import TokenIssuer

_PASSWORD: Final = "bench-password"  # noqa: S105  of a server that lives some minutes
SIGNER: Final = "RSA-4096 each"
"""The column of a server that signs each token."""
_LIFETIME_SECONDS: Final = 43_200
_CONFIG: Final = """\
registry:
  url: http://127.0.0.1:9/v2
  name: bench
  auth: {{enabled: true, key: {folder}/auth.key, issuer: bench}}
http:
  addr: 127.0.0.1:{port}
database:
  url: sqlite:///{folder}/web.db
admin:
  password: {password}
tokens:
  lifetime: 12h
log:
  level: error
"""


def make_keys(folder: Path) -> Path:
    """Make the RSA-4096 token key and its certificate, and return the certificate."""
    command = [sys.executable, "-m", "web_service", "generate-keys"]
    subprocess.run(  # noqa: S603
        [*command, "--web-conf", str(folder), "--registry-conf", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return folder / "auth.cert"


def start_token_server(folder: Path) -> Side:
    """Start our token server with the keys in a folder; its database is new."""
    port = free_port()
    config = folder / "web.yml"
    config.write_text(_CONFIG.format(folder=folder, port=port, password=_PASSWORD))
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("REGISTRY_", "WEB_"))}
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "web_service", "serve", str(config)],
            cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    credential = base64.b64encode(f"admin:{_PASSWORD}".encode()).decode()
    side = Side(Program("ours", "ours", "web"), f"http://127.0.0.1:{port}", folder, process)
    side.headers["Authorization"] = f"Basic {credential}"
    try:
        until_answered(f"{side.url}/api/health", lambda: process.poll() is None)
    except RuntimeError:
        side.stop()
        raise
    return side


def start_signing_server(folder: Path) -> Side:
    """Start the server that signs each token with the RSA-4096 key in a folder."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "scripts.benchmark.signer", str(port), str(folder / "auth.key")], cwd=ROOT
    )
    side = Side(Program(SIGNER, "signer", "aiohttp"), f"http://127.0.0.1:{port}", folder, process)
    try:
        until_answered(f"{side.url}{_endpoint('')}", lambda: process.poll() is None)
    except RuntimeError:
        side.stop()
        raise
    return side


def mint(folder: Path, scope: str) -> str:
    """Return a token for a scope, as our token server makes it with the keys in a folder."""
    pair = read_pair(folder / "auth.key", folder / "auth.cert")
    issuer = TokenIssuer(pair, issuer="bench", audience="bench", lifetime=_LIFETIME_SECONDS)
    return asyncio.run(issuer.issue("bench", parse_scopes([scope]))).token


def token_rows() -> tuple[Row, ...]:
    """Return the row of tokens that the token server issues to a credential that it has checked before."""
    return (Row("tokens issued, remembered credential", "1/s", _issue, goals={"signer": 10.0}, reach=1500.0),)


def _issue(scene: Scene, side: Side) -> Sample:
    url = f"{side.url}{_endpoint(f'repository:{IMAGE}:pull')}"
    return wrk(url, side.headers, seconds=scene.scale.seconds, connections=16)


def _endpoint(scope: str) -> str:
    return f"/api/auth?service=bench&account=admin{f'&scope={scope}' if scope else ''}"
