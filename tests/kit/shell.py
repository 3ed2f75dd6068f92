"""The command line of registry-web on a database of its own, for tests."""

import asyncio
import io
import json
import sys
from dataclasses import dataclass

from shared.config import Secret
from web_service.cli import run
from web_service.db import Database
from web_service.users import Users


@dataclass
class Terminal:
    """Runs commands in this process, as a script would: stdin is no terminal."""

    environ: dict[str, str]
    capsys: object
    monkeypatch: object

    def run(self, *arguments, stdin=""):
        """Run a command; return its exit code, and what it wrote to stdout and to stderr."""
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self.capsys.readouterr()
        code = run(arguments, self.environ)
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def text(self, *arguments, stdin=""):
        """Return the lines that a command prints which does what it should."""
        code, out, err = self.run(*arguments, stdin=stdin)
        assert (code, err) == (0, ""), err
        return out.splitlines()

    def json(self, *arguments, stdin=""):
        """Return the document that a command prints which does what it should."""
        return json.loads("\n".join(self.text(*arguments, "--json", stdin=stdin)))

    def refusal(self, *arguments, stdin=""):
        """Return the one line that a command says which does nothing."""
        code, out, err = self.run(*arguments, stdin=stdin)
        assert (code, out) == (2, "")
        assert err.startswith("registry-web: ")
        assert err.count("\n") == 1
        return err.removeprefix("registry-web: ").rstrip("\n")

    def fill(self, work):
        """Do something to the database as the service would; `work` is a coroutine function that takes it."""

        async def filled():
            database = Database(Secret(self.environ["WEB_DATABASE_URL"]))
            await database.open()
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(filled())


def seeded(environ, capsys, monkeypatch):
    """Return the command line on a database that a service has made."""
    terminal = Terminal(environ, capsys, monkeypatch)
    terminal.fill(lambda database: Users(database).seed("admin"))
    return terminal
