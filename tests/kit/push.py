"""A tiny registry client: push through any object with aiohttp's request methods."""

from tests.kit.content import Content, image, image_config


async def push_blob(client, name: str, content: Content) -> None:
    """Push a blob in one request after opening an upload, as containerd does."""
    async with client.post(f"/v2/{name}/blobs/uploads/") as opened:
        assert opened.status == 202
    location = opened.headers["Location"]
    async with client.put(location, params={"digest": content.digest}, data=content.file) as closed:
        assert closed.status == 201, await closed.text()


async def put_manifest(client, name: str, reference: str, content: Content):
    """Push a manifest, and return the answer."""
    headers = {"Content-Type": content.media_type}
    return await client.put(f"/v2/{name}/manifests/{reference}", data=content.file, headers=headers)


async def push_image(client, name: str, tag: str, layers: list[Content], **more: object) -> Content:
    """Push an image with everything it refers to, and return its manifest."""
    config = image_config()
    for content in (config, *layers):
        await push_blob(client, name, content)
    manifest = image(layers, config, **more)
    answer = await put_manifest(client, name, tag, manifest)
    assert answer.status == 201, await answer.text()
    return manifest
