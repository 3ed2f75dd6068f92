"""What the console shows of a registry: tags with all that belongs to them, read in parallel."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from shared.names import natural_key
from web_service.authority import Caller
from web_service.errors import RegistryNotFound, RegistryProblem
from web_service.images import Image, ImageConfig, Manifest, Tagged, is_attestation
from web_service.registry_client import RegistryClient


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A tag whose image cannot be shown, and why."""

    tag: str
    problem: RegistryProblem


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository and its tags, or why they cannot be listed."""

    name: str
    tags: tuple[str, ...]
    problem: RegistryProblem | None = None


class Browser:
    """Reads a registry for people."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    async def check(self) -> None:
        """See that the registry answers and accepts our tokens; raises RegistryProblem."""
        await self._client.check()

    async def names(self) -> list[str]:
        """Return the names of all repositories, sorted."""
        return sorted(await self._client.repositories())

    async def repositories(self, names: Iterable[str]) -> list[Repository]:
        """Return the repositories of these names with their tags."""
        return list(await asyncio.gather(*(self._repository(name) for name in names)))

    async def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, the highest version first."""
        return sorted(await self._client.tags(repository), key=natural_key, reverse=True)

    async def tagged(self, repository: str, tags: Iterable[str]) -> list[Tagged | Unreadable]:
        """Return what each tag points to. A tag that vanished meanwhile is left out."""
        found = await asyncio.gather(*(self._readable(repository, tag) for tag in tags))
        return [one for one in found if one is not None]

    async def image(self, repository: str, reference: str) -> Tagged:
        """Return what a tag or digest points to; raises RegistryProblem."""
        manifest = await self._client.manifest(repository, reference)
        if not manifest.is_index:
            return Tagged(reference, manifest, (await self._image(repository, manifest),))
        children = [child.digest for child in manifest.children if not is_attestation(child)]
        images = await asyncio.gather(*(self._child(repository, digest) for digest in children))
        return Tagged(reference, manifest, tuple(image for image in images if image is not None))

    async def digest(self, repository: str, tag: str) -> str:
        """Return the digest that a tag points to now, whether the image can be read or not; raises RegistryProblem."""
        return await self._client.digest(repository, tag)

    async def same_digest(self, repository: str, digest: str) -> list[str]:
        """Return all tags that point to a digest: what goes when it is deleted."""
        tags = await self.tags(repository)
        digests = await asyncio.gather(*(self._digest(repository, tag) for tag in tags))
        return [tag for tag, held in zip(tags, digests, strict=True) if held == digest]

    async def delete(self, repository: str, digest: str, caller: Caller) -> None:
        """Delete an image and all its tags in the name of a user."""
        await self._client.delete(repository, digest, caller)

    async def _repository(self, name: str) -> Repository:
        try:
            return Repository(name, tuple(await self.tags(name)))
        except RegistryNotFound:
            return Repository(name, ())
        except RegistryProblem as problem:
            return Repository(name, (), problem)

    async def _readable(self, repository: str, tag: str) -> Tagged | Unreadable | None:
        try:
            return await self.image(repository, tag)
        except RegistryNotFound:
            return None
        except RegistryProblem as problem:
            return Unreadable(tag, problem)

    async def _child(self, repository: str, digest: str) -> Image | None:
        """Return an image of an index; an index may name images that were never pushed."""
        try:
            return await self._image(repository, await self._client.manifest(repository, digest))
        except RegistryNotFound:
            return None

    async def _image(self, repository: str, manifest: Manifest) -> Image:
        if manifest.config is None or not manifest.has_image_config:
            return Image(manifest, ImageConfig())
        return Image(manifest, await self._client.config(repository, manifest.config.digest))

    async def _digest(self, repository: str, tag: str) -> str:
        try:
            return await self._client.digest(repository, tag)
        except RegistryNotFound:
            return ""
