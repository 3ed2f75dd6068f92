"""A registry that is asked in exact bytes, and tells which answers came by its express lane."""

import asyncio
import re

import aiohttp

from registry_service.api.express import Express
from registry_service.api.lane import ExpressConnection
from registry_service.app import create_parts, running

SETTLED_SECONDS = 0.06
"""Longer than what the storage takes for too lately to be told from a change."""


class Registry:
    """A running registry, and what its express lane has answered."""

    def __init__(self, url, session, counted, parts):
        self.url, self.session, self.counted, self.parts = url, session, counted, parts

    def post(self, path, **more):
        return self.session.post(self.url + path, **more)

    def put(self, path, **more):
        return self.session.put(self.url + path, **more)

    def delete(self, path, **more):
        return self.session.delete(self.url + path, **more)

    async def ask(self, path, *lines, method="GET", host="x"):
        """Make a request in exactly these bytes over a connection of its own, and return the answer's bytes."""
        address, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(address, int(port))
        text = "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""])
        writer.write(text.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        body = b"" if method == "HEAD" or length is None else await reader.readexactly(int(length[1]))
        writer.close()
        await writer.wait_closed()
        return without_date(head) + body

    async def ask_thrice(self, path, *lines, method="GET"):
        """Return three answers, and how many of them came by the express lane."""
        before = len(self.counted)
        answers = [await self.ask(path, *lines, method=method) for _ in range(3)]
        return answers, len(self.counted) - before

    async def ask_by_lane(self, path, *lines, **more):
        """Return an answer, and whether it came by the express lane."""
        before = len(self.counted)
        answer = await self.ask(path, *lines, **more)
        return answer, len(self.counted) > before


def without_date(head):
    """Return the head of an answer with its lines in order, but for the date; every answer has one."""
    lines = head.split(b"\r\n")
    assert any(re.fullmatch(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", line) for line in lines)
    return b"\n".join(sorted(line for line in lines if not line.startswith(b"Date: ")))


def opener(monkeypatch):
    """Return what opens a registry of a configuration, as a context; all that it opens are counted together."""
    counted = Counted()
    send, find_anew = ExpressConnection._send, Express.find_anew

    def counting(self, answer, log):
        sent = send(self, answer, log)
        if sent:
            (counted.anew if answer in fresh else counted).append(answer)
        return sent

    def finding(self, question):
        found = find_anew(self, question)
        if found is not None:
            fresh.append(found[0])
        return found

    fresh = []
    monkeypatch.setattr(ExpressConnection, "_send", counting)
    monkeypatch.setattr(Express, "find_anew", finding)
    return lambda config: Opened(config, counted)


class Counted(list):
    """The answers that were remembered; those of plain questions that came for the first time are `anew`."""

    def __init__(self):
        super().__init__()
        self.anew = []


class Opened:
    """A registry of a configuration, as a context."""

    def __init__(self, config, counted):
        self.config, self.counted = config, counted

    async def __aenter__(self):
        self.parts = await asyncio.to_thread(create_parts, self.config)
        self.running = running(self.parts)
        url = await self.running.__aenter__()
        self.session = aiohttp.ClientSession()
        return Registry(url, self.session, self.counted, self.parts)

    async def __aexit__(self, *_):
        await self.session.close()
        await self.running.__aexit__(None, None, None)
