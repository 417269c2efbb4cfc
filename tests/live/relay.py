# SPDX-License-Identifier: Apache-2.0
"""A port of this machine's loopback that leads to the same port in a private system daemon's network."""

import contextlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

from lab.system_libvirtd import PrivateSystemLibvirtd


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, daemon: PrivateSystemLibvirtd, port: int) -> None:
    with client, contextlib.suppress(OSError):
        with daemon.entered():
            server = socket.create_connection(("127.0.0.1", port))
        with server:
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


def _accept(listener: socket.socket, daemon: PrivateSystemLibvirtd, port: int) -> None:
    with contextlib.suppress(OSError):  # it is closed at the end
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, daemon, port), daemon=True).start()


@contextmanager
def relay(daemon: PrivateSystemLibvirtd, port: int) -> Generator[None]:
    """While it lasts, who connects here is connected there."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=_accept, args=(listener, daemon, port), daemon=True).start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
