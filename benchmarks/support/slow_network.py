"""A connection that takes time: every byte between a client and a server arrives later, in both directions.

A server on the same machine answers at once. Storage elsewhere does not, and who makes many requests waits often.
"""

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def slow_network(target: str, round_trip: float) -> Iterator[str]:
    """Yield the address of a relay to the server at `target`, such as `http://127.0.0.1:8333`, in a process of its own.

    Args:
        target: the server's address.
        round_trip: seconds that a question and its answer take together, on the way alone.
    """
    place = urlsplit(target)
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = listener, str(place.hostname), int(place.port or 80), round_trip / 2
    relay = multiprocessing.get_context("fork").Process(target=_serve, args=arguments, daemon=True)
    relay.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        relay.kill()
        relay.join()
        listener.close()


def _serve(listener: socket.socket, host: str, port: int, delay: float) -> None:
    async def relay(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, questions = await asyncio.open_connection(host, port)
        await asyncio.gather(_carry(client, questions, delay), _carry(server, answers, delay), return_exceptions=True)

    async def forever() -> None:
        async with await asyncio.start_server(relay, sock=listener) as server:
            await server.serve_forever()

    asyncio.run(forever())


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    """Everything in its order, each part `delay` seconds after it came; then the end."""
    loop = asyncio.get_running_loop()
    while data := await source.read(1 << 16):
        loop.call_later(delay, target.write, data)
    loop.call_later(delay, target.close)
