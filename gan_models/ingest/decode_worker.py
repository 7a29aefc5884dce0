"""A process that decodes the files of strangers, with a limit on its memory; `DecodingWorkers` starts and ends it.

It reads frames from its standard input and answers on its standard output. A frame is a line of JSON and then as many
bytes as the line says. Answers are data, never pickles: what a malicious file makes of this process stays in it.
"""

import json
import resource
import sys
from dataclasses import asdict
from typing import IO, Any

from gan_models.ingest.decoding import DecodingLimits, UnreadableImageError
from gan_models.ingest.file_check import Demands, Examined, Piece, examine

SMALL = 1_000_000  # pixels that are decoded without asking whether there is room for them


def write_frame(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame: `head` as a line of JSON, then `body`."""
    stream.write(json.dumps({**head, "length": len(body)}).encode() + b"\n")
    stream.write(body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one frame.

    Raises:
        EOFError: the other side has gone.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    body = stream.read(head.pop("length"))
    return head, body


def as_frame(examined: Examined) -> tuple[dict[str, Any], bytes]:
    """Return what was found of a file as the head and body of a frame."""
    pieces = [{**asdict(piece), "stats": piece.stats.hex(), "data": len(piece.data)} for piece in examined.pieces]
    return {"id": examined.id, "pieces": pieces}, b"".join(piece.data for piece in examined.pieces)


def from_frame(head: dict[str, Any], body: bytes) -> Examined:
    """Return what `as_frame` made a frame of; of a frame with a reason, a file that is not used."""
    if "reason" in head:
        return Examined(reason=str(head["reason"]))
    pieces, begin = [], 0
    for said in head["pieces"]:
        end = begin + int(said["data"])
        corner = said["corner"] and (int(said["corner"][0]), int(said["corner"][1]))
        stats = bytes.fromhex(said["stats"])
        pieces.append(Piece(**{**said, "data": body[begin:end], "stats": stats, "corner": corner}))
        begin = end
    return Examined(str(head["id"]), tuple(pieces))


def main(max_memory: int) -> None:
    """Serve until the standard input ends, with so many bytes of memory more than an idle process has.

    A frame of questions holds several files. They are answered one by one, so that the other side knows which it was
    that this process died of.
    """
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # A library that prints must not garble the frames.
    _limit_memory(max_memory)
    write_frame(answers, {"ready": True})

    def ask_for_room(num_pixels: int) -> None:
        if num_pixels > SMALL:
            write_frame(answers, {"pixels": num_pixels})
            read_frame(source)

    while True:
        try:
            head, body = read_frame(source)
        except EOFError:
            return
        demands = Demands(DecodingLimits(**head["limits"]), head["tile"], head["max_tiles"])
        begin = 0
        for length, is_mask in zip(head["lengths"], head["masks"], strict=True):
            try:
                answer = as_frame(examine(body[begin : begin + length], demands, ask_for_room, is_mask=is_mask))
            except UnreadableImageError as error:
                answer = {"reason": str(error)}, b""
            except MemoryError:
                answer = {"reason": f"decoding it takes more than {max_memory >> 20:,} MiB of memory"}, b""
            write_frame(answers, *answer)
            begin += length


def _limit_memory(more: int) -> None:
    """Let this process have so many bytes more than it has now."""
    import imagehash  # noqa: F401  What the first image would load counts as had.
    import scipy.fftpack  # noqa: F401

    with open("/proc/self/statm") as file:  # noqa: PTH123
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(int(sys.argv[1]))
