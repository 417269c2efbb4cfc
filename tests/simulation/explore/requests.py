# SPDX-License-Identifier: Apache-2.0
"""The requests of clients: what they send, and what they keep of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.explore.cloud import Answer, Cloud
from tests.simulation.explore.history import EXCHANGE, Exchange, History, Shown

SMALL, LARGE = "1", "2"
SERVERS, CANCEL = "/compute/v2.1/servers", "/compute/v2.1/kilonova/cancel"

ACTIONS: Mapping[str, Any] = {
    "stop": {"os-stop": None},
    "start": {"os-start": None},
    "reboot": {"reboot": {"type": "SOFT"}},
    "hard reboot": {"reboot": {"type": "HARD"}},
    "pause": {"pause": None},
    "unpause": {"unpause": None},
    "suspend": {"suspend": None},
    "resume": {"resume": None},
    "rescue": {"rescue": {}},
    "unrescue": {"unrescue": None},
    "rebuild": {"rebuild": {"imageRef": "IMAGE"}},
    "resize": {"resize": {"flavorRef": LARGE}},
    "confirmResize": {"confirmResize": None},
    "revertResize": {"revertResize": None},
    "createImage": {"createImage": {"name": "image"}},
    "createBackup": {"createBackup": {"name": "backup", "backup_type": "daily", "rotation": 1}},
    "shelve": {"shelve": None},
    "shelveOffload": {"shelveOffload": None},
    "unshelve": {"unshelve": None},
    "lock": {"lock": None},
    "unlock": {"unlock": None},
    "forceDelete": {"forceDelete": None},
    "restore": {"restore": None},
    "migrate": {"migrate": None},
    "live migration": {"os-migrateLive": {"host": None, "block_migration": "auto"}},
    "evacuate": {"evacuate": {}},
    "resetState to active": {"os-resetState": {"state": "active"}},
    "resetState to error": {"os-resetState": {"state": "error"}},
    "injectNetworkInfo": {"injectNetworkInfo": None},
}
"""The body of each action."""

ADMINS = frozenset(
    {"shelveOffload", "migrate", "live migration", "evacuate", "resetState to active", "resetState to error"}
    | {"injectNetworkInfo"}
)

_DISK = ("createImage", "createBackup", "shelve")
_USUAL: Mapping[str, tuple[str, ...]] = {
    "active": ("stop", "reboot", "hard reboot", "pause", "suspend", "rescue", "rebuild", "resize", *_DISK),
    "stopped": ("start", "start", "hard reboot", "rescue", "rebuild", "resize", *_DISK),
    "paused": ("unpause", "unpause", "hard reboot", *_DISK),
    "suspended": ("resume", "resume", "hard reboot", *_DISK),
    "rescued": ("unrescue",),
    "resized": ("confirmResize", "revertResize"),
    "shelved": ("unshelve", "shelveOffload"),
    "shelved_offloaded": ("unshelve",),
    "error": ("hard reboot", "stop", "rebuild", "rescue", "evacuate"),
}
"""Actions that are possible in a state."""


def action_of(random: Random, seen: Shown | None) -> str:
    """What a client requests that has seen this state: mostly something possible, else anything."""
    roll = random.random()
    usual = _USUAL.get(seen.vm_state) if seen is not None else None
    anything, possible = random.choice(sorted(ACTIONS)), random.choice(usual or sorted(ACTIONS))
    if roll < 0.05:
        return "lock"
    if roll < 0.12 or (seen is not None and seen.locked and roll < 0.5):
        return "unlock"
    return anything if roll > 0.9 else possible


@dataclass
class Clients:
    """Sends requests and keeps the history.  `slots` are the servers by the slots of a plan."""

    cloud: Cloud
    history: History = field(default_factory=History)
    slots: dict[int, str] = field(default_factory=dict)
    seen: dict[int, Shown] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    """Slots whose servers a client has seen deleted."""
    images: list[str] = field(default_factory=list)

    async def _exchange(
        self, who: int, server: str, verb: str, method: str, path: str, body: Any = None, *, admin: bool = False,
        headers: dict[str, str] | None = None,
    ) -> tuple[Exchange, Answer]:  # fmt: skip
        cloud, admin = self.cloud, admin or who == 0
        exchange = Exchange(
            len(self.history.exchanges), who, admin, server, verb, cloud.clock.monotonic(), cloud.observer.newest()
        )
        self.history.exchanges.append(exchange)
        EXCHANGE.set(exchange)
        answer = await cloud.request(method, path, body, admin=admin, headers=headers)
        exchange.answered_s, exchange.seq_after = cloud.clock.monotonic(), cloud.observer.newest()
        exchange.code, exchange.request_id = answer.code, answer.request_id
        if isinstance(answer.body, dict) and answer.code is not None and answer.code >= 400:
            exchange.message = str(next(iter(answer.body.values()), {}).get("message", ""))
        return exchange, answer

    async def create(self, who: int, slot: int, random: Random, *, has_key: bool = True, **more: Any) -> None:
        """A server in the slot; sent again under the same key when the outcome is unknown.  `more` of its body."""
        server = {
            "name": f"server-{slot}",
            "imageRef": random.choice(self.images),
            "flavorRef": random.choice((SMALL, SMALL, LARGE)),
            "networks": random.choice(("auto", "auto", "none")),
            **more,
        }
        headers = {"Idempotency-Key": f"key-{slot}"} if has_key else {}
        for _ in range(2):
            exchange, answer = await self._exchange(
                who, "", "create", "POST", SERVERS, {"server": server}, headers=headers
            )
            if answer.code == 202:
                exchange.server = self.slots[slot] = answer.body["server"]["id"]
            if not (has_key and exchange.unknown):
                return

    @property
    def have_servers(self) -> bool:
        """Whether there is a server that no client has seen deleted."""
        return bool(self.slots.keys() - self.gone)

    def _slot(self, slot: int) -> int | None:
        """The slot, if it has a server that no client has seen deleted; else the next one that has."""
        filled = sorted(self.slots.keys() - self.gone)
        return next((one for one in filled if one >= slot), filled[0] if filled else None)

    async def show(self, who: int, wanted: int) -> None:
        """Read one server."""
        slot = self._slot(wanted)
        if slot is None:
            return
        server = self.slots[slot]
        exchange, answer = await self._exchange(who, server, "show", "GET", f"{SERVERS}/{server}", admin=True)
        if answer.code == 200:
            exchange.shown = self.seen[slot] = shown(answer.body["server"])
            exchange.message = ""
        elif answer.code == 404:
            self.gone.add(slot)

    async def list_servers(self, who: int) -> None:
        """Read all servers in one request: one exchange for each that is shown."""
        exchange, answer = await self._exchange(who, "", "list", "GET", f"{SERVERS}/detail", admin=True)
        if answer.code != 200:
            return
        for server in answer.body["servers"]:
            one = Exchange(
                len(self.history.exchanges), who, True, server["id"], "show", exchange.invoked_s, exchange.seq_before,
                exchange.answered_s, exchange.seq_after, 200, shown=shown(server),
            )  # fmt: skip
            self.history.exchanges.append(one)

    async def actions(self, who: int, wanted: int) -> None:
        """Read the actions of a server."""
        if (slot := self._slot(wanted)) is not None:
            server = self.slots[slot]
            path = f"{SERVERS}/{server}/os-instance-actions"
            await self._exchange(who, server, "actions", "GET", path)

    async def act(self, who: int, wanted: int, random: Random) -> None:
        """An action on the server in the slot, chosen by the state that it shows now."""
        if random.random() < 0.5:
            await self.show(who, wanted)
        slot = self._slot(wanted)
        if slot is None:
            return
        exchange = await self.action(who, self.slots[slot], action_of(random, self.seen.get(slot)), random)
        if exchange.code == 404 and exchange.verb not in ("rebuild", "rescue"):
            self.gone.add(slot)

    async def action(self, who: int, server: str, name: str, random: Random) -> Exchange:
        """This action on this server."""
        body = ACTIONS[name]
        if name == "rebuild":
            body = {"rebuild": {"imageRef": random.choice(self.images)}}
        path = f"{SERVERS}/{server}/action"
        exchange, _ = await self._exchange(who, server, name, "POST", path, body, admin=name in ADMINS)
        return exchange

    async def delete(self, who: int, wanted: int) -> None:
        """Delete the server in the slot."""
        if (slot := self._slot(wanted)) is not None:
            await self.delete_server(who, self.slots[slot])

    async def delete_server(self, who: int, server: str) -> None:
        """Delete this server."""
        await self._exchange(who, server, "delete", "DELETE", f"{SERVERS}/{server}")

    async def cancel(self, who: int, server: str) -> None:
        """Cancel what is in progress on this server."""
        await self._exchange(who, server, "cancel", "POST", CANCEL, {"cancel": {"id": server}})


def shown(server: Mapping[str, Any]) -> Shown:
    """The states in the API's view of a server."""
    return Shown(
        server["OS-EXT-STS:vm_state"],
        server["OS-EXT-STS:task_state"],
        server["OS-EXT-STS:power_state"],
        server["OS-EXT-SRV-ATTR:host"],
        server["locked"],
    )
