# SPDX-License-Identifier: Apache-2.0
"""All verbs of servers as scenarios, and those that fail and undo what they have done."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.crashes.cloud import Cloud
from tests.crashes.scenario import SERVERS, Body, Create, Evacuate, OfServer, Scenario, act, body

Send = Callable[[Cloud, str], httpx.Response]


def _act(made: Body) -> Send:
    return lambda cloud, server_id: act(cloud, server_id, made(server_id))


def _image(kind: str, **fields: Any) -> Body:
    return lambda server_id: {kind: {"name": f"of-{server_id}", **fields}}


STOP, PAUSE = (body(**{"os-stop": None}), "SHUTOFF"), (body(pause=None), "PAUSED")
SUSPEND = (body(suspend=None), "SUSPENDED")
RESIZE = (body(resize={"flavorRef": "2"}), "VERIFY_RESIZE")
SHELVE = (body(shelve=None), "SHELVED_OFFLOADED")
RESCUE = (body(rescue={}), "RESCUE")

_ACTIONS: Mapping[str, tuple[Body, Sequence[tuple[Body, str]]]] = {
    "stop": (body(**{"os-stop": None}), ()),
    "start": (body(**{"os-start": None}), (STOP,)),
    "reboot": (body(reboot={"type": "SOFT"}), ()),
    "reboot hard": (body(reboot={"type": "HARD"}), ()),
    "pause": (body(pause=None), ()),
    "unpause": (body(unpause=None), (PAUSE,)),
    "suspend": (body(suspend=None), ()),
    "resume": (body(resume=None), (SUSPEND,)),
    "rescue": (body(rescue={}), ()),
    "unrescue": (body(unrescue=None), (RESCUE,)),
    "resize": (body(resize={"flavorRef": "2"}), ()),
    "confirmResize": (body(confirmResize=None), (RESIZE,)),
    "revertResize": (body(revertResize=None), (RESIZE,)),
    "createImage": (_image("createImage"), ()),
    "createBackup": (_image("createBackup", backup_type="daily", rotation=1), ()),
    "shelve": (body(shelve=None), ()),
    "unshelve": (body(unshelve=None), (SHELVE,)),
    "lock": (body(lock=None), ()),
    "unlock": (body(unlock=None), ((body(lock=None), "ACTIVE"),)),
    "resetState": (body(**{"os-resetState": {"state": "error"}}), ()),
}


def _rebuild(cloud: Cloud, server_id: str) -> httpx.Response:
    return act(cloud, server_id, {"rebuild": {"imageRef": cloud.image}})


def _delete(cloud: Cloud, server_id: str) -> httpx.Response:
    return cloud.client.http.delete(f"{SERVERS}/{server_id}")


_FAILING: Mapping[str, str] = {
    "rescue": "compute.rescue.start.done",
    "resize": "compute.resize.start.done",
    "createImage": "compute.createImage.upload.done",
    "createBackup": "compute.createBackup.rotate.done",
    "shelve": "compute.shelve.upload.done",
    "unshelve": "compute.unshelve.start.done",
}
"""The verbs that clean up, with the last failpoint at which they fail."""

VERBS: Mapping[str, Scenario] = {
    "create": Create("create"),
    "delete": OfServer("delete", _delete),
    "rebuild": OfServer("rebuild", _rebuild),
    **{name: OfServer(name, _act(made), before) for name, (made, before) in _ACTIONS.items()},
}
FAILING: Mapping[str, Scenario] = {
    "create fails": Create("create fails", "compute.create.start.done"),
    **{
        f"{verb} fails": OfServer(f"{verb} fails", _act(_ACTIONS[verb][0]), _ACTIONS[verb][1], fails)
        for verb, fails in _FAILING.items()
    },
}
OF_A_FLEET: Mapping[str, Scenario] = {
    "evacuate": Evacuate("evacuate", _act(body(evacuate={}))),
    "evacuate fails": Evacuate("evacuate fails", _act(body(evacuate={})), fails="compute.evacuate.start.done"),
}
"""What needs another host."""
