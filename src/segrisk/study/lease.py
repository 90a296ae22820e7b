"""One run at a time in one place of object storage: a lease that its owner keeps renewing."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from segrisk.study.remote import Remote
from segrisk.study.store import StoreError

LEASE = "lease.json"
BEAT = 10.0
"""Seconds between two renewals."""
PATIENCE = 60.0
"""Seconds without a renewal after which a lease is taken over."""


class Lease:
    """The right to run a study at one URL, held while this process lives.

    A new lease is created only where there is none, in one step on storage that can do that (S3,
    a file system). One that is found there is watched for `PATIENCE` seconds by this machine's own
    monotonic clock: if it is renewed, StoreError; if not, its owner is gone and it is taken over.
    An owner that finds another's lease in its place, or could not renew its own for nearly as long,
    has lost it: `check` then raises StoreError.

    That is no proof against a network that falls apart: two runs may overlap until the loser's next
    renewal. Cells are then run twice, and counted once, by the first whole upload.
    """

    def __init__(self, remote: Remote, owner: str) -> None:
        self._remote, self._owner, self._id = remote, owner, uuid4().hex
        self._beats = 0
        self._renewed = time.monotonic()
        self._lost_to: str | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self, tell: Callable[[str], None]) -> None:
        """Get the lease; StoreError where another run works there."""
        while not self._remote.create(LEASE, self._content()):
            self._wait_for_its_end(tell)
            self._remote.delete(LEASE)
        self._renewed = time.monotonic()
        self._thread.start()

    def _wait_for_its_end(self, tell: Callable[[str], None]) -> None:
        first = self._remote.read(LEASE)
        # Who holds the lock of this owner's folder knows that its last run is over.
        if first is None or first["owner"] == self._owner:
            return
        tell(
            f"{self._remote.url}: a run of {first['owner']} has not said that it ended; "
            f"watching for {PATIENCE:.0f} s whether it lives"
        )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(min(1.0, BEAT / 4))
            now = self._remote.read(LEASE)
            if now is None:
                return
            if now != first:
                raise StoreError(
                    f"{self._remote.url}: another run is working here ({now['owner']}); wait for "
                    "it, or give --out another place"
                )

    def check(self) -> None:
        """StoreError where the lease is lost."""
        if self._lost_to is None and time.monotonic() - self._renewed > PATIENCE - BEAT:
            self._lost_to = f"it could not be renewed for {PATIENCE - BEAT:.0f} s"
        if self._lost_to is not None:
            raise StoreError(
                f"{self._remote.url}: this run no longer holds its lease ({self._lost_to}), so "
                "another may go on there; the same command continues what is finished"
            )

    def release(self) -> None:
        """Give the lease back."""
        self._ends.set()
        self._thread.join()
        with suppress(OSError):  # it runs out by itself
            if self._is_mine():
                self._remote.delete(LEASE)

    def _renew(self) -> None:
        while not self._ends.wait(BEAT):
            with suppress(OSError):  # the storage may be back at the next beat
                if not self._is_mine():
                    found = self._remote.read(LEASE)
                    self._lost_to = f"{found['owner']} took it" if found else "it was removed"
                    return
                self._beats += 1
                self._remote.write(LEASE, self._content())
                self._renewed = time.monotonic()

    def _is_mine(self) -> bool:
        found = self._remote.read(LEASE)
        return found is not None and found["id"] == self._id

    def _content(self) -> dict[str, str | int | float]:
        """`at`, by this machine's clock, is for people alone."""
        return {"owner": self._owner, "id": self._id, "beats": self._beats, "at": time.time()}


def is_held(remote: Remote) -> bool:
    """Whether a run seems to work there, by the clocks of both machines: for people to know."""
    found = remote.read(LEASE)
    return found is not None and time.time() - found["at"] < PATIENCE
