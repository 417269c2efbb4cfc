# SPDX-License-Identifier: Apache-2.0
"""The failpoints of each kind of process, and the layers that have them.  A process without failpoints has none of
these layers."""

from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from kilonova.base.failpoints import Failpoints

if TYPE_CHECKING:
    from kilonova.rpc.bus import Bus


def check_failpoints(failpoints: Failpoints, *roles: str) -> None:
    """Check the armed failpoints.  Raises ConfigError for a name that a process with these roles never reaches."""
    failpoints.check(known_names(*roles) if failpoints.is_active else ())


def known_names(*roles: str) -> frozenset[str]:
    """The failpoints of a process with these roles: `api`, `conductor`, `compute`."""
    return frozenset().union(*(_NAMES[role]() for role in roles))


def breakable_bus(bus: "Bus", failpoints: Failpoints) -> "Bus":
    """The bus, with the failpoints of all methods that change something."""
    if not failpoints.is_active:
        return bus
    from kilonova.rpc.breakable import BreakableBus

    return BreakableBus(bus, failpoints, _to_conductor() | _to_host())


def _of_api() -> frozenset[str]:
    from kilonova.api.http.breakable import NAMES
    from kilonova.rpc.breakable import of_calls
    from kilonova.rpcapi.to_host import CACHE_IMAGES

    return NAMES | of_calls(_from_api() | {CACHE_IMAGES.name})


def _of_conductor() -> frozenset[str]:
    from kilonova.conductor.failpoints import NAMES
    from kilonova.rpc.breakable import of_calls, of_replies
    from kilonova.rpcapi.to_host import WAKE
    from kilonova.rpcapi.to_host_verify import MEND_HOST

    return NAMES | of_replies(_to_conductor()) | of_calls({WAKE.name, MEND_HOST.name})


def _of_compute() -> frozenset[str]:
    from kilonova.compute.failpoints import NAMES
    from kilonova.rpc.breakable import of_calls, of_replies

    return NAMES | of_calls(_from_host()) | of_replies(_to_host())


_NAMES = {"api": _of_api, "conductor": _of_conductor, "compute": _of_compute}


def _changing(modules: Iterable[ModuleType]) -> frozenset[str]:
    from kilonova.rpcapi.method import methods_of

    return frozenset(row.name for module in modules for row in methods_of(module).values() if row.changes)


@cache
def _from_api() -> frozenset[str]:
    from kilonova.rpcapi import api_to_conductor, api_to_conductor_admin, api_to_conductor_fleet
    from kilonova.rpcapi import api_to_conductor_identity as identity
    from kilonova.rpcapi import api_to_conductor_images as images

    return _changing((api_to_conductor, api_to_conductor_admin, api_to_conductor_fleet, identity, images))


@cache
def _from_host() -> frozenset[str]:
    from kilonova.rpcapi import host_to_conductor, host_to_conductor_images

    # A ping changes nothing, and has the name of a ping of the other direction.
    return _changing((host_to_conductor, host_to_conductor_images)) - {host_to_conductor.PING.name}


def _to_conductor() -> frozenset[str]:
    return _from_api() | _from_host()


@cache
def _to_host() -> frozenset[str]:
    from kilonova.rpcapi import to_host, to_host_verify

    return _changing((to_host, to_host_verify))
