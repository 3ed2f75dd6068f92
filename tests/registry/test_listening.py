"""Sockets: one door for one process, several for several, and a port of somebody else's."""

import socket
from contextlib import closing

import pytest

from registry_service.config import HTTP
from registry_service.listening import close, listen, listen_apart, url_of
from shared.config import ConfigError


def test_one_process_has_its_port_for_itself():
    sockets = listen(HTTP(addr="127.0.0.1:0"))
    address = url_of(HTTP(addr="127.0.0.1:0"), sockets).removeprefix("http://")
    for again in (listen, lambda http: listen_apart(http, 2)):
        with pytest.raises(ConfigError, match=rf"^http.addr: cannot listen on {address}: Address already in use"):
            again(HTTP(addr=address))
    close(sockets)
    close(listen(HTTP(addr=address)))


def test_several_doors_lead_to_one_port_that_nobody_else_can_have():
    doors = listen_apart(HTTP(addr="127.0.0.1:0"), 3)
    ports = {one.getsockname()[1] for door in doors for one in door}
    assert (len(doors), len(ports)) == (3, 1)
    http = HTTP(addr=f"127.0.0.1:{ports.pop()}")
    for again in (listen, lambda http: listen_apart(http, 2)):
        with pytest.raises(ConfigError, match="Address already in use"):
            again(http)
    more = listen_apart(http, 5, doors)
    assert (more[:3], len(more)) == (doors, 5)
    assert listen_apart(http, 2, more) == more
    close(one for door in more for one in door)


def test_connections_are_shared_out_between_doors():
    doors = listen_apart(HTTP(addr="127.0.0.1:0"), 2)
    clients = [socket.create_connection(doors[0][0].getsockname()) for _ in range(64)]
    counts = [accepted(door[0]) for door in doors]
    assert sum(counts) == 64
    assert min(counts) > 8
    for client in clients:
        client.close()
    close(one for door in doors for one in door)


def accepted(listener):
    """Return how many connections wait at a socket."""
    count = 0
    while True:
        try:
            with closing(listener.accept()[0]):
                count += 1
        except BlockingIOError:
            return count


def test_without_a_host_every_interface_is_listened_on():
    sockets = listen(HTTP(addr=":0"))
    assert {one.family for one in sockets} <= {socket.AF_INET, socket.AF_INET6}
    assert len({one.getsockname()[1] for one in sockets}) == 1
    with socket.create_connection(("127.0.0.1", sockets[0].getsockname()[1])):
        pass
    close(sockets)
