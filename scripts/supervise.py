"""The part of scripts/run that starts the registry and its console, keeps them together, and stops them together."""

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  the addresses to recognise, not to bind


def main() -> int:
    """Run both services until a signal or until one of them ends; return the exit code."""
    options = _options(sys.argv[1:])
    try:
        options.data.mkdir(parents=True, exist_ok=True)
        _check_ports(options)
    except FileExistsError:
        return _fail(f"{options.data}: is not a folder; --data names another")
    except OSError as error:
        return _fail(f"{error.filename or options.data}: {error.strerror}")
    except _AddressError as error:
        return _fail(str(error))
    return _make_missing_keys(options.data / "keys") or asyncio.run(_run(options))


class _AddressError(Exception):
    """Nothing can listen there: the port belongs to another program, or the address to no interface of ours."""


def _make_missing_keys(folder: Path) -> int:
    command = [sys.executable, "-m", "web_service", "generate-keys", "--if-missing"]
    folders = ["--web-conf", str(folder), "--registry-conf", str(folder)]
    return subprocess.run([*command, *folders], check=False).returncode  # noqa: S603


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Run the registry and its console here, without Docker, and set up what they need.",
        epilog="From the environment: WEB_ADMIN_PASSWORD, the first password of `admin`; CANGKU_URL, where docker "
        "clients on other machines reach the console; every key of conf/ as in the manual; CANGKU_VENV, the folder "
        "of the virtual environment.",
    )
    parser.add_argument("--registry-port", type=_port, default=5000, metavar="PORT", help="default: 5000")
    parser.add_argument("--web-port", type=_port, default=8090, metavar="PORT", help="default: 8090")
    parser.add_argument(
        "--data", type=_folder, default=ROOT / "data", metavar="FOLDER",
        help="images, database and keys; default: ./data in the project's folder",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="0.0.0.0", metavar="ADDRESS",  # noqa: S104  reachable by the company, as with compose
        help="the address to listen on; default: 0.0.0.0, every interface",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) < 1 << 16:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _check_ports(options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as held:
        for flag, port in (("--registry-port", options.registry_port), ("--web-port", options.web_port)):
            family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
            listener = held.enter_context(socket.socket(family))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((options.host, port))
                listener.listen()
            except OSError as error:
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                    raise _AddressError(f"--host {options.host}: {error.strerror}") from None
                raise _AddressError(f"{options.host} port {port}: {error.strerror}; {flag} names another") from None


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _environments(options: argparse.Namespace) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what each service is told; a variable that its administrator has set goes before ours."""
    keys = options.data / "keys"
    # One name for both, and one that docker on this machine can use: the console shows commands to copy.
    name = os.environ.get("REGISTRY_NAME") or _registry_name(options)
    console_here = f"http://{_netloc(EVERY_INTERFACE.get(options.host, options.host), options.web_port)}"
    registry = {
        "REGISTRY_HTTP_ADDR": _netloc(options.host, options.registry_port),
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": f"{options.data}/registry",
        "REGISTRY_AUTH_TOKEN_REALM": f"{_public_url(options)}/api/auth",
        "REGISTRY_AUTH_TOKEN_SERVICE": name,
        "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE": f"{keys}/auth.cert",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL": f"{console_here}/api/notification",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TOKENFILE": f"{keys}/notification.token",
    }
    registry_here = _netloc(EVERY_INTERFACE.get(options.host, options.host), options.registry_port)
    console = {
        "REGISTRY_URL": f"http://{registry_here}/v2",
        "REGISTRY_NAME": name,
        "REGISTRY_AUTH_KEY": f"{keys}/auth.key",
        "WEB_HTTP_ADDR": _netloc(options.host, options.web_port),
        "WEB_DATABASE_URL": f"sqlite:///{_database(options)}",
        "WEB_NOTIFICATIONS_TOKENFILE": f"{keys}/notification.token",
    }
    return registry | os.environ, console | os.environ


def _public_url(options: argparse.Namespace) -> str:
    host = "localhost" if options.host in EVERY_INTERFACE else options.host
    return os.environ.get("CANGKU_URL") or f"http://{_netloc(host, options.web_port)}"


def _registry_name(options: argparse.Namespace) -> str:
    return _netloc(urllib.parse.urlsplit(_public_url(options)).hostname or "localhost", options.registry_port)


def _database(options: argparse.Namespace) -> Path:
    return Path(options.data / "registry-web" / "registry-web.db")


async def _run(options: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    first_start = not _database(options).exists()
    _database(options).parent.mkdir(mode=0o700, exist_ok=True)
    (options.data / "registry").mkdir(exist_ok=True)
    for_registry, for_console = _environments(options)
    services = {
        "registry": await _start("registry_service", ROOT / "conf/registry/config.yml", for_registry),
        "registry-web": await _start("web_service", ROOT / "conf/registry-web/config.yml", for_console),
    }
    ends = {asyncio.create_task(service.wait(), name=name) for name, service in services.items()}
    asked = asyncio.create_task(signals.get())
    greeting = asyncio.create_task(_greet(options, first_start=first_start))
    awaited: set[asyncio.Task[Any]] = {asked, *ends}
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    greeting.cancel()
    asked.cancel()
    died = [end for end in ends if end.done()]
    for end in died:
        print(f"run: {end.get_name()} has ended (exit code {end.result()}), so both stop", file=sys.stderr)  # noqa: T201
    await _stop(list(services.values()), signals)
    return _exit_code([end.result() for end in died], await asyncio.gather(*ends))


def _exit_code(died: Sequence[int], ended: Sequence[int]) -> int:
    """Return the code of the service that failed by itself; of two that were asked to end, one that did not do well."""
    if died:
        return next((_shell_code(code) for code in died if code), 1)
    return next((_shell_code(code) for code in ended if code not in (0, -signal.SIGTERM)), 0)


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


async def _start(package: str, config: Path, environ: Mapping[str, str]) -> Process:
    """Start a service out of the terminal's reach: Ctrl-C comes to us, and we stop both in order."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", package, "serve", str(config), cwd=ROOT, env=environ, start_new_session=True
    )


async def _stop(services: Sequence[Process], signals: asyncio.Queue[signal.Signals]) -> None:
    """Let requests in flight finish; a second signal is from someone who will not wait."""
    _send(services, signal.SIGTERM)
    impatience = asyncio.create_task(signals.get())
    impatience.add_done_callback(lambda task: None if task.cancelled() else _send(services, signal.SIGKILL))
    await asyncio.gather(*(service.wait() for service in services))
    impatience.cancel()


def _send(services: Sequence[Process], number: signal.Signals) -> None:
    for service in services:
        if service.returncode is None:
            service.send_signal(number)


async def _greet(options: argparse.Namespace, *, first_start: bool) -> None:
    """Say where everything is, once both services answer."""
    host = EVERY_INTERFACE.get(options.host, options.host)
    await _until_answered(f"http://{_netloc(host, options.registry_port)}/")
    await _until_answered(f"http://{_netloc(host, options.web_port)}/api/health")
    if not first_start:
        login = "with the user and password you have"
    elif os.environ.get("WEB_ADMIN_PASSWORD"):
        login = "first login: admin and the password of WEB_ADMIN_PASSWORD"
    else:
        login = "first login: admin / admin (change it, please)"
    registry = _registry_name(options)
    print(  # noqa: T201
        f"\n  console   {_public_url(options)}   {login}\n"
        f"  registry  {registry}   docker login {registry}\n"
        f"  data      {options.data}\n"
        "  Ctrl-C stops both.\n",
        flush=True,
    )


async def _until_answered(url: str) -> None:
    # An HTTP proxy is for other machines, and this is our own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with await asyncio.to_thread(opener.open, url, timeout=5):
                return
        except OSError:
            await asyncio.sleep(0.1)


def _fail(message: str) -> int:
    print(f"run: {message}", file=sys.stderr, flush=True)  # noqa: T201
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
