# SPDX-License-Identifier: Apache-2.0
"""Notifications to systemd about the state of the service (sd_notify)."""

import contextlib
import socket
from collections.abc import Mapping


class SystemdNotifier:
    """Does nothing without NOTIFY_SOCKET.  Sending never blocks and never fails."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        period = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(period) / 1e6 if period.isdigit() and self._address else 0.0
        """Seconds within which systemd expects WATCHDOG=1; 0: no watchdog."""

    def send(self, *words: str) -> None:
        """Send `READY=1`, `STATUS=...`, `STOPPING=1`, `WATCHDOG=1`."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.setblocking(False)
            end.sendto("\n".join(words).encode(), self._address)
