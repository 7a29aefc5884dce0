"""Locks that hold across hosts: one slot of a global concurrency limit of the Prefect server that they share.

Prefect's own `concurrency` gives up a lease after three failed renewals, which a restart of the server outlasts, and
says nothing while it waits. A limit is made for each lock and taken away with it, so that Prefect's page of limits
shows what is locked now, and by which flow run.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL

from flows.runtime.progress import echo
from gan_models.errors import AtelierError

LEASE_SECONDS = 120.0  # after which the slot of a host that died is free; a server takes no less than 60
SECONDS_TO_NOTICE = 15.0  # until a server looks again which leases have ended
SECONDS_BETWEEN_RENEWALS = 30.0
SECONDS_AFTER_A_FAILURE = 5.0
SECONDS_BETWEEN_ATTEMPTS = 2.0
SECONDS_FOR_AN_ANSWER = 30.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux
LOCKED, GONE = 423, 410  # the answers to one who asks for a slot that is taken, and for a lease that has ended


class ServerLockError(AtelierError):
    """A lock could not be asked for; the message names the server and says what to do."""


@contextmanager
def locked_on_server(name: str, note: int) -> Iterator[None]:
    """Hold a lock on the Prefect server that is set, waiting for it; without one, do nothing.

    The temporary server of a plain command is nobody else's: then the lock of this machine is enough.

    Args:
        name: of the lock.
        note: descriptor of the file of this machine's lock, which is held. Who holds the server's lock is noted there:
            an earlier holder on this machine that has lost this one is dead, and need not be waited for.

    Raises:
        ServerLockError: the server does not answer, or refuses.
    """
    address = PREFECT_API_URL.value()
    if not address:
        yield
        return
    # Settings of its own make it a client of its own, which the thread below may use as well.
    with get_client(httpx_settings={"timeout": SECONDS_FOR_AN_ANSWER}, sync_client=True) as client:
        try:
            _free_of_the_dead(client, note)
            lease = _acquire(client, f"atelier-{name}")
        except httpx.HTTPError as error:
            raise ServerLockError(
                f"the Prefect server at {address} gives no lock '{name}' ({error or type(error).__name__}); "
                "see that it runs and try again, or unset PREFECT_API_URL to work without it"
            ) from None
        _write(note, " ".join([str(lease.lease_id), *_names_of_this_machine()]))
        stop = threading.Event()
        renewals = threading.Thread(target=lease.keep, args=[stop], daemon=True, name=f"lease of {name}")
        renewals.start()
        try:
            yield
        finally:
            stop.set()
            renewals.join(SECONDS_FOR_AN_ANSWER)
            with suppress(httpx.HTTPError):  # it ends by itself
                lease.free()
                _write(note, "")


def _free_of_the_dead(client: SyncPrefectClient, note: int) -> None:
    lease_id, *machine = os.pread(note, 1000, 0).decode().split() or [""]
    with suppress(ValueError):  # a note that a power cut left half of
        if set(machine) & set(_names_of_this_machine()):
            client.release_concurrency_slots_with_lease(UUID(lease_id))


def _names_of_this_machine() -> list[str]:
    """Return its host name, which outlives a restart, and the id of its kernel, which a new container has as well."""
    with suppress(OSError):
        return [socket.gethostname(), BOOT_ID.read_text().strip()]
    return [socket.gethostname()]


def _write(note: int, text: str) -> None:
    os.ftruncate(note, 0)
    os.pwrite(note, text.encode(), 0)


def _acquire(client: SyncPrefectClient, limit: str) -> "_Lease":
    holder = ConcurrencyLeaseHolder(type="flow_run", id=UUID(flow_run.id)) if flow_run.id else None
    is_told = False
    _create(client, limit)
    while True:
        try:
            answer = client.increment_concurrency_slots_with_lease([limit], 1, "concurrency", LEASE_SECONDS, holder)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != LOCKED:
                raise
            if not is_told:
                echo(
                    f"waiting for '{limit}', which another run holds until it ends, or for "
                    f"{LEASE_SECONDS + SECONDS_TO_NOTICE:g} s at most where its machine is gone (Prefect's page of "
                    "concurrency limits shows it, and deleting it there frees it at once)"
                )
                is_told = True
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
            continue
        granted = answer.json()
        if granted["limits"]:
            return _Lease(client, granted["limits"][0]["id"], UUID(granted["lease_id"]))
        _create(client, limit)  # whoever held it has taken it away


def _create(client: SyncPrefectClient, limit: str) -> None:
    """Make a limit unless there is one: asked for first, since the server logs a refusal as an error of its own."""
    try:
        client.read_global_concurrency_limit_by_name(limit)
    except ObjectNotFound:
        with suppress(ObjectAlreadyExists):
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=limit, limit=1))


class _Lease:
    """A slot that is held until it is freed, or for `LEASE_SECONDS` after the last renewal.

    limit_id: of the limit that was made for it; one of the same name that was made since is another's

    `forgotten`: the server was restarted and keeps leases in memory; the slot stays taken, and still is this one's.
    `lost`: the lease has ended, and another may have the slot.
    """

    def __init__(self, client: SyncPrefectClient, limit_id: str, lease_id: UUID) -> None:
        self.client, self.limit_id, self.lease_id = client, limit_id, lease_id
        self.renewed = time.time()  # a clock that goes on while a machine is suspended
        self.state: Literal["held", "forgotten", "lost"] = "held"

    def keep(self, stop: threading.Event) -> None:
        """Renew the lease now and then until `stop` is set; a server that does not answer is asked again."""
        pause = SECONDS_BETWEEN_RENEWALS
        while self.state == "held" and not stop.wait(pause):
            try:
                self._renew()
                pause = SECONDS_BETWEEN_RENEWALS
            except (httpx.HTTPError, RuntimeError):  # the latter where the client is closed by now
                pause = SECONDS_AFTER_A_FAILURE

    def free(self) -> None:
        """Take the limit away, unless another run holds it by now."""
        if self.state == "held":
            self._renew()
        if self.state != "lost":
            with suppress(ObjectNotFound):
                self.client.delete_global_concurrency_limit_by_name(self.limit_id)
        self.client.release_concurrency_slots_with_lease(self.lease_id)

    def _renew(self) -> None:
        try:
            self.client.renew_concurrency_lease(self.lease_id, LEASE_SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != GONE:
                raise
            self.state = "forgotten" if time.time() - self.renewed < LEASE_SECONDS else "lost"
        else:
            self.renewed = time.time()
