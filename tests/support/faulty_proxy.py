"""An HTTP proxy in front of a real server that throttles, fails, hangs, drips, or hangs up when it is told to.

It can stand behind TLS and want to be shown something. The client's own `Host` header is passed on, so that signatures
for S3 stay valid.
"""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["throttle", "fail", "hang", "reset", "drip"]
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class FaultyProxy:
    """What passed, and what is to go wrong.

    fault: of a request (method, path), what to do instead of passing it on; None passes it
    requests: method and path of each request, in the order they came
    ranges: the `Range` header of each, or None
    uploaded: bytes of all request bodies that were passed on
    authorization: the header without which it answers 401
    drip_seconds: before each byte after the first of an answer that drips
    """

    endpoint: str
    fault: Callable[[str, str], Fault | None] = lambda method, path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    uploaded: int = 0
    authorization: str | None = None
    drip_seconds: float = 0.05
    released: threading.Event = field(default_factory=threading.Event)

    def first(self, number: int, fault: Fault, method: str) -> None:
        """The first `number` requests of a method go wrong, those after them do not."""
        left = [number]

        def of(asked: str, path: str) -> Fault | None:
            if asked != method or left[0] <= 0:
                return None
            left[0] -= 1
            return fault

        self.fault = of

    def always(self, fault: Fault, method: str) -> None:
        """Every request of a method goes wrong."""
        self.fault = lambda asked, path: fault if asked == method else None


@contextmanager
def faulty_proxy(target: str, tls: ssl.SSLContext | None = None) -> Iterator[FaultyProxy]:
    """A proxy in front of the server at `target`, an address such as `http://127.0.0.1:8333`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.requests.append((self.command, self.path))
            proxy.ranges.append(self.headers.get("Range"))
            if proxy.authorization is not None and self.headers.get("Authorization") != proxy.authorization:
                self.answer(401, [("WWW-Authenticate", "Basic")], b"who are you?")
                return
            fault = proxy.fault(self.command, self.path)
            if fault == "hang":
                proxy.released.wait()
            if fault in ("hang", "reset"):
                self.close_connection = True
                return
            if fault == "fail":
                self.answer(500, [], b"something went wrong")
                return
            if fault == "throttle":
                self.answer(503, [("Content-Type", "application/xml")], _SLOW_DOWN)
                return
            proxy.uploaded += len(body)
            connection = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):  # the server is down: so is the proxy
                self.close_connection = True
                return
            finally:
                connection.close()
            self.answer(response.status, response.getheaders(), content, drip=fault == "drip")

        def answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, drip: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            for start in range(len(content) if drip else 0):
                self.wfile.write(content[start : start + 1])
                proxy.released.wait(proxy.drip_seconds)
            self.wfile.write(b"" if drip else content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = handle_one  # noqa: N815

        def log_message(self, *_: object) -> None: ...

        def handle(self) -> None:
            with suppress(OSError):  # a client that gave up
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    proxy = FaultyProxy(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
