# SPDX-License-Identifier: Apache-2.0
"""A host compared with the database: each difference by its code, and no difference of a server that is in progress."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from kilonova.conductor.verify.host import Look, differences
from kilonova.db.readers.holdings import HostRecords
from kilonova.objects.difference import KINDS, Part, difference, in_both
from kilonova.objects.host_contents import CacheContents, GuestContents, NetworkContents, Reserved
from kilonova.objects.ids import HostName
from kilonova.objects.instance import Address, Instance
from kilonova.objects.states import PowerState, VmState
from kilonova.rpcapi.to_host_verify import HostContents
from tests import make

H1 = HostName("h1")
FILES = ("console.log", "disk", "disk.config")
ADDRESS = Address("kilonova", "10.9.0.2", "52:54:00:00:00:02", 29, "10.9.0.1")
SERVER = make.instance(
    host=H1, vm_state=VmState.ACTIVE, task_state=None, power_state=PowerState.RUNNING, addresses=(ADDRESS,)
)
GUEST = GuestContents(SERVER.id, PowerState.RUNNING, FILES, has_record=True)
BASE = SERVER.image.cache_name
NETWORKS = NetworkContents(("kilonova",), (), "kilonova", (Reserved(ADDRESS.mac, ADDRESS.address),))
GOOD = HostContents((GUEST,), networks=NETWORKS)


def look(server: Instance | None = SERVER, contents: HostContents = GOOD, **more: Any) -> Look:
    servers = {} if server is None else {server.id: server}
    return Look(H1, HostRecords(servers, more.pop("busy", frozenset())), contents, **more)


def guest(**changes: Any) -> HostContents:
    return replace(GOOD, guests=(replace(GUEST, **changes),))


def orphan(name: str, *, power: PowerState | None = PowerState.RUNNING) -> Look:
    contents = replace(GOOD, guests=(replace(GUEST, power=power),), networks=NetworkContents())
    return look(None, replace(contents, **{name: (SERVER.id,)}))


def networks(**changes: Any) -> Look:
    return look(SERVER, replace(GOOD, networks=replace(NETWORKS, **changes)))


@dataclass(frozen=True)
class Case:
    """A look, and the code of its one difference."""

    code: str
    look: Look
    repaired: bool = True


OFF = replace(SERVER, vm_state=VmState.STOPPED, power_state=PowerState.SHUTDOWN, desired_power=PowerState.SHUTDOWN)
CASES = (
    Case("guest-missing", look(SERVER, guest(power=None))),
    Case("guest-missing", look(OFF, guest(power=None)), repaired=False),
    Case("guest-power", look(SERVER, replace(guest(power=PowerState.SHUTDOWN), drifted=(SERVER.id,)))),
    Case("guest-deleted", orphan("deleted")),
    Case("guest-elsewhere", orphan("elsewhere"), repaired=False),
    Case("guest-unknown", orphan("unknown"), repaired=False),
    Case("files-deleted", orphan("deleted", power=None)),
    Case("files-elsewhere", orphan("elsewhere", power=None), repaired=False),
    Case("files-unknown", orphan("unknown", power=None), repaired=False),
    Case("disk-missing", look(SERVER, guest(files=("disk.config",))), repaired=False),
    Case("disk-unusable", look(SERVER, guest(disk="disk cannot be used: bad magic.")), repaired=False),
    Case("config-drive-missing", look(SERVER, guest(files=("disk",))), repaired=False),
    Case(
        "base-missing",
        look(SERVER, replace(guest(disk=f"{BASE} cannot be read."), cache=CacheContents(missing=(BASE,)))),
    ),
    Case("base-missing", look(SERVER, replace(GOOD, cache=CacheContents(missing=("other.raw",)))), repaired=False),
    Case("base-damaged", look(damaged=(BASE,))),
    Case("file-unfinished", look(SERVER, guest(files=(*FILES, "disk.unfinished")))),
    Case("file-unfinished", look(SERVER, guest(files=(*FILES, "snapshot-image-1")))),
    Case("file-kept", look(SERVER, guest(files=(*FILES, "disk.kept-action-1"))), repaired=False),
    Case("file-kept", look(SERVER, guest(files=(*FILES, "disk.rescue"))), repaired=False),
    Case("cache-unfinished", look(SERVER, replace(GOOD, cache=CacheContents(unfinished=(f".{BASE}.1",))))),
    Case(
        "record-kept",
        look(None, HostContents((GuestContents(SERVER.id, has_record=True),), unknown=(SERVER.id,))),
    ),
    Case("network-missing", networks(troubles=("The libvirt network kilonova is not defined.",))),
    Case("network-missing", networks(names=()), repaired=False),
    Case(
        "reservation-kept",
        networks(reserved=(*NETWORKS.reserved, Reserved("52:54:00:00:00:09", "10.9.0.3"))),
        repaired=False,
    ),
    Case("reservation-missing", networks(reserved=(Reserved(ADDRESS.mac, "10.9.0.3"),))),
    Case("reservation-missing", networks(reserved=())),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_difference_has_its_code_and_its_repair(case: Case) -> None:
    (found,) = differences(case.look)
    assert (found.code, found.host, bool(found.repair)) == (case.code, H1, case.repaired)
    assert found.repair == (KINDS[case.code].repair if case.repaired else "")
    kind = KINDS[case.code]
    assert found.repair or kind.by_hand, "an operator receives no advice"


def test_every_kind_of_a_host_has_a_case() -> None:
    assert {case.code for case in CASES} == {kind.code for kind in KINDS.values() if kind.part is Part.HOST}


def test_a_host_as_it_is_recorded_has_no_difference() -> None:
    assert differences(look()) == ()
    for state in (VmState.ERROR, VmState.BUILDING):
        assert differences(look(replace(SERVER, vm_state=state), HostContents())) == ()
    rescued = replace(SERVER, vm_state=VmState.RESCUED, rescue_image=SERVER.image)
    assert differences(look(rescued, guest(files=(*FILES, "disk.rescue")))) == ()
    resized = replace(SERVER, vm_state=VmState.RESIZED, old_flavor=SERVER.flavor)
    assert differences(look(resized, guest(files=(*FILES, "disk.kept-action-1")))) == ()


OF_A_GUEST = [
    case for case in CASES if case.look.guests and case.code.partition("-")[0] not in ("base", "network", "cache")
]


@pytest.mark.parametrize("case", OF_A_GUEST, ids=lambda case: case.code)
def test_a_server_in_progress_has_no_difference(case: Case) -> None:
    """By the records of the conductor, and by the host."""
    if case.code == "reservation-kept":
        return  # of no server
    records = replace(case.look.records, busy=frozenset({SERVER.id}))
    contents = replace(case.look.contents, busy=(SERVER.id,))
    assert differences(replace(case.look, records=records)) == ()
    assert differences(replace(case.look, contents=contents)) == ()


def test_only_what_both_looks_have_found_is_a_difference() -> None:
    was = difference("guest-power", "a", "Guest a is off, and running is recorded.", H1)
    now = replace(was, found="Guest a is paused, and running is recorded.")
    elsewhere = replace(was, host=HostName("h2"))
    assert in_both([was], [now, elsewhere, difference("guest-power", "b", "", H1)]) == (now,)
