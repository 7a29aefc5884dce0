"""What is behind web addresses, and which of them are not to be asked."""

import asyncio
import ipaddress
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from flows.sources.base import SourceError
from flows.sources.deadline import Deadline
from flows.sources.web import WebLimits, is_public, read
from gan_models.ingest.decoding import UnreadableImageError

HERE = WebLimits(hosts=("127.0.0.1", "localhost"))


@contextmanager
def server(*answers):
    """Yield the address of a server, and a list of what it is asked.

    answers: the parts of what it sends, one tuple a connection, the last for all further ones; it waits a moment before
        each part, and after the last for the client to hang up.
    """
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection, parts):
        with closing(connection):
            try:
                asked.append(connection.recv(65536).decode())
                for part in parts:
                    connection.sendall(part)
                    time.sleep(0.02)
            except OSError:
                return

    def accept():
        left = list(answers)
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            parts = left.pop(0) if len(left) > 1 else left[0]
            threading.Thread(target=serve, args=(connection, parts), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.close()


def ok(body, *, length=None):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def leads_to(address):
    return f"HTTP/1.1 302 Found\r\nLocation: {address}\r\nContent-Length: 0\r\n\r\n".encode()


def refused(address, said, limits=HERE, **options):
    with pytest.raises(UnreadableImageError, match=said) as caught:
        read(address, limits, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"],
)
def test_this_machine_is_not_asked_however_it_is_written(host):
    with server((ok(b"secret"),)) as (address, asked):
        refused(f"http://{host}:{address.rpartition(':')[2]}/x", "this machine or in its network", WebLimits())
        assert not asked


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "[fe80::1]"])
def test_the_network_of_this_machine_is_not_asked(host):
    refused(f"http://{host}/latest/meta-data", r"this machine or in its network.*`hosts: \[", WebLimits())


def test_a_name_that_leads_to_this_machine_is_not_asked(monkeypatch):
    async def look_up(loop, host, port, **options):
        assert host == "images.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    refused("http://images.example/x", r"leads to images.example \(127.0.0.1\)", WebLimits())


def test_a_host_that_the_config_names_may_be_asked():
    with server((ok(b"an image"),)) as (address, asked):
        assert read(f"{address}/one.png?size=2", HERE) == b"an image"
        assert read(f"{address}/one.png".replace("127.0.0.1", "LOCALHOST"), HERE) == b"an image"
    assert asked[0].startswith("GET /one.png?size=2 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "Host: localhost:" in asked[1]


def test_a_redirect_is_followed_where_it_may_lead():
    with server((leads_to("/two.png"),), (ok(b"two"),)) as (address, asked):
        assert read(f"{address}/one.png", HERE) == b"two"
    assert [request.split()[1] for request in asked] == ["/one.png", "/two.png"]


def test_a_redirect_to_what_may_not_be_asked_is_refused():
    with server((leads_to("http://169.254.169.254/x"),)) as (address, _):
        refused(f"{address}/one.png", r"leads to 169.254.169.254 .* is this machine or in its network")
    with server((ok(b"secret"),)) as (secret, asked):
        with server((leads_to(secret.replace("127.0.0.1", "127.1")),)) as (address, _):
            refused(address, "this machine or in its network")
        assert not asked


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_a_redirect_to_another_kind_of_address_is_refused(target):
    with server((leads_to(target),)) as (address, _):
        refused(address, "none of http:// and https://")


def test_redirects_without_end_are_refused():
    with server((leads_to("/again"),)) as (address, asked):
        refused(address, "leads on to another more than 5 times")
    assert len(asked) == 6


@pytest.mark.parametrize(
    "begun", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Header: "]
)
def test_a_server_that_drips_has_so_long_for_the_whole_file(begun):
    with server((begun, *[b"x"] * 5000)) as (address, _):
        refused(address, "takes more than 0.3 seconds", seconds=0.3)


def test_a_server_that_says_nothing_has_so_long():
    with server((b"", *[b""] * 5000)) as (address, _):
        refused(address, "takes more than 0.3 seconds", seconds=0.3)


def test_a_source_whose_time_is_over_ends_the_build():
    with pytest.raises(SourceError, match=r"more than the 2 hours that their source has; set its `max_hours`"):
        read("http://images.example/x", WebLimits(deadline=Deadline(until=time.time() - 1, hours=2)))


def test_errors_are_told_in_a_sentence(dead_address):
    refused(f"{dead_address}/x", "does not answer")
    refused("http://no-such-host.invalid/x", "there is no host 'no-such-host.invalid'")
    refused("http://[bad/x", "cannot be read")
    with server((b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",)) as (address, _):
        refused(f"{address}/x", "it answers 404")
    with server((b"nothing like HTTP\r\n\r\n",)) as (address, _):
        refused(f"{address}/x", "does not answer")


def test_more_bytes_than_an_image_has_are_not_read():
    with server((ok(b"", length=1 << 40), *[b"x" * (1 << 24)] * 20)) as (address, _):
        refused(address, "more than the limit of 134,217,728")


def test_a_proxy_of_the_environment_is_asked_for_hosts_that_only_it_knows(monkeypatch):
    with server((ok(b"by proxy"),)) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        assert read("http://only-outside.invalid/x.png", WebLimits()) == b"by proxy"
        refused("http://169.254.169.254/x", "this machine or in its network")
    assert [request.split()[1] for request in asked] == ["http://only-outside.invalid/x.png"]


def test_addresses_can_be_read_within_an_event_loop():
    async def within():
        return read(address, HERE)

    with server((ok(b"an image"),)) as (address, _):
        assert asyncio.run(within()) == b"an image"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))
