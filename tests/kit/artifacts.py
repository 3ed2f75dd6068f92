"""oras-py as a user of Python uses it: files in, files out."""

from pathlib import Path

from oras.auth.utils import parse_auth_header
from oras.client import OrasClient
from oras.oci import Subject
from requests import Response


class Oras:
    """One user's oras-py, working on one repository; `folder` keeps the login."""

    def __init__(self, registry: str, repository: str, folder: Path) -> None:
        self.registry = registry
        self.repository = repository
        self.target = f"{registry}/{repository}"
        self.folder = folder
        self.client = OrasClient(hostname=registry, insecure=True, auth_backend="token")

    def login(self, user: str, password: str) -> str:
        """Keep name and password; oras-py does not ask the registry about them."""
        config = str(self.folder / "oras.json")
        return str(self.client.login(username=user, password=password, hostname=self.registry, config_path=config))

    def ask_for(self, *actions: str) -> bool:
        """Get a token for all that is wanted of the repository, and return whether there was one.

        oras-py 0.2 keeps its first token, which is for a pull, for it looks first what is there; it gets another one
        after a 403 only, where the specification of tokens, the Go registry and ours have a 401.
        """
        answer = self.client.session.get(f"http://{self.registry}/v2/")
        challenge = parse_auth_header(answer.headers["WWW-Authenticate"])
        challenge.scope = f"repository:{self.repository}:{','.join(actions)}"
        token = self.client.auth.request_token(challenge)
        self.client.auth.set_token_auth(token)
        return bool(token)

    def push(self, tag: str, *files: str, subject: Subject | None = None, chunk_size: int = 0) -> Response:
        """Push files, each with its media type after a colon, or folders."""
        self.ask_for("pull", "push")
        chunked = {"do_chunked": True, "chunk_size": chunk_size} if chunk_size else {}
        how = {"subject": subject, "disable_path_validation": True, **chunked}
        return self.client.push(target=f"{self.target}:{tag}", files=list(files), **how)

    def pull(self, tag: str, folder: Path) -> list[Path]:
        return [Path(name) for name in self.client.pull(target=f"{self.target}:{tag}", outdir=str(folder))]

    def tags(self) -> list[str]:
        return self.client.get_tags(self.target)

    def delete(self, tag: str) -> bool:
        """Delete what a tag points to."""
        self.ask_for("pull", "delete")
        return self.client.delete_tag(self.target, tag)
