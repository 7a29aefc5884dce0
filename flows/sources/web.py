"""The only file that reads web addresses of images: anyone may have written them into a table.

An address that leads to this machine or its network is refused, also by a name or a redirect, unless the config names
its host: what answers there (a cloud's metadata, an admin page) trusts this machine. The name is looked up here and the
connection made to what was found, so that a name cannot lead elsewhere a moment later.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from flows.sources.deadline import Deadline
from flows.sources.files import check_size
from gan_models.ingest.decoding import UnreadableImageError

SCHEMES = ("http://", "https://")
FILE_SECONDS = 60.0  # for all of a file, however many bytes arrive in between
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4  # of one host that are tried

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # The last four bytes of such an address are one of IPv4.


@dataclass(frozen=True)
class WebLimits:
    """What reading the addresses of one source may do.

    hosts: names that may lead to this machine or its network
    deadline: of all of them together
    """

    hosts: tuple[str, ...] = ()
    deadline: Deadline = field(default_factory=Deadline)


def read(address: str, limits: WebLimits, *, seconds: float = FILE_SECONDS) -> bytes:
    """Return what is behind an address.

    Args:
        address: begins with one of `SCHEMES`.
        limits: of its source.
        seconds: that it may take, from looking up the name to the last byte.

    Raises:
        UnreadableImageError: it is refused, does not answer, is too large, or takes too long.
        SourceError: the source has no time left.
    """
    allowed = min(seconds, limits.deadline.seconds_left())
    try:
        # A thread of its own, because the caller may be within an event loop, as in a notebook.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _within(allowed, lambda: _read(address, limits.hosts))).result()
    except TimeoutError:
        raise UnreadableImageError(f"the address cannot be read: it takes more than {allowed:.3g} seconds") from None
    except httpx.HTTPStatusError as error:
        raise UnreadableImageError(f"the address cannot be read: it answers {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        why = f"it does not answer ({type(error).__name__})"
        raise UnreadableImageError(f"the address cannot be read: {why}") from None


async def _within(seconds: float, read: Callable[[], Awaitable[bytes]]) -> bytes:
    async with asyncio.timeout(seconds):
        return await read()


async def _read(address: str, hosts: tuple[str, ...]) -> bytes:
    """Return the content, redirects followed; each of them is checked as the address itself is."""
    url = httpx.URL(address)
    for _ in range(MAX_REDIRECTS + 1):
        if url.scheme not in ("http", "https") or not url.host:
            raise UnreadableImageError("the address leads to one that is none of http:// and https://")
        content = await _content(url, hosts)
        if isinstance(content, bytes):
            return content
        url = content
    raise UnreadableImageError(f"the address leads on to another more than {MAX_REDIRECTS} times")


async def _content(url: httpx.URL, hosts: tuple[str, ...]) -> bytes | httpx.URL:
    """Return what is behind a URL, or where it leads on to."""
    proxy = _proxy_for(url)
    async with httpx.AsyncClient(verify=_tls(), proxy=proxy, trust_env=False, timeout=None) as client:
        answer = await _answer(client, url, await _checked_addresses(url, hosts, by_proxy=proxy is not None))
        try:
            if answer.has_redirect_location:
                return url.join(answer.headers["Location"])
            answer.raise_for_status()
            data = bytearray()
            async for block in answer.aiter_bytes():
                data += block
                check_size(len(data))
            return bytes(data)
        finally:
            await answer.aclose()


async def _answer(client: httpx.AsyncClient, url: httpx.URL, addresses: list[IPAddress]) -> httpx.Response:
    """Return the answer of the first of a host's addresses that takes a connection; by a proxy's, there are none."""
    name = {"sni_hostname": url.raw_host.decode()}
    targets = [url.copy_with(host=str(address)) for address in addresses[:MAX_ADDRESSES]] or [url]
    for target in targets:
        request = client.build_request("GET", target, headers={"Host": url.netloc.decode()}, extensions=name)
        try:
            return await client.send(request, stream=True)
        except httpx.ConnectError:
            if target is targets[-1]:
                raise
    raise AssertionError("a host has at least one address")


async def _checked_addresses(url: httpx.URL, hosts: tuple[str, ...], *, by_proxy: bool) -> list[IPAddress]:
    """Return the addresses of a URL's host; none where a proxy looks the name up.

    Raises:
        UnreadableImageError: there is no such host, or it is none that may be asked.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            url.raw_host.decode().strip("[]"), url.port, type=socket.SOCK_STREAM
        )
    except socket.gaierror:
        if by_proxy:
            return []
        raise UnreadableImageError(f"the address cannot be read: there is no host {url.host!r}") from None
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if url.host.casefold() not in {host.casefold() for host in hosts}:
        for address in addresses:
            if not is_public(address):
                raise UnreadableImageError(
                    f"the address leads to {url.host} ({address}), which is this machine or in its network; "
                    f"if that is meant, give the source `hosts: [{url.host}]`"
                )
    return [] if by_proxy else addresses


def is_public(address: IPAddress) -> bool:
    """Return whether an address is one of the internet: none of this machine, its network, or a group of machines."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _proxy_for(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY`, `NO_PROXY`)."""
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return what certificates are checked by; reading them takes longer than reading an image."""
    return httpx.create_ssl_context()
