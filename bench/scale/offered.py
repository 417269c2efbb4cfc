# SPDX-License-Identifier: Apache-2.0
"""Requests at a fixed rate: each begins at its time, whether or not earlier ones have been answered."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from bench.box import FLAVOR, Cloud

MIX: Sequence[str] = (
    "show", "list", "show", "create", "show", "flavors", "show", "delete", "show", "list",
    "show", "create", "show", "names", "show", "delete", "list", "create", "flavors", "delete",
)  # fmt: skip
"""Twenty requests: eight shows of a server, three details of fifty, one list of a hundred, two lists of flavors, three
creates and three deletes."""
OLD_S = 5.0
"""A server of this load is deleted after this time at the earliest."""
ANSWER_S = 30.0


@dataclass(slots=True)
class Answers:
    """Durations in ms by kind of request; `bad`: how many had another answer than the one expected, by its status."""

    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    bad: Counter[str] = field(default_factory=Counter[str])
    created: list[str] = field(default_factory=list[str])

    @property
    def all(self) -> list[float]:
        return [one for times in self.times.values() for one in times]


class OpenLoad:
    """A load on a cloud.  `ids` are servers to show, `image` is for new ones."""

    def __init__(self, cloud: Cloud, ids: Sequence[str], image: str) -> None:
        self._ids, self._image = ids, image
        self._headers = {"X-Auth-Token": cloud.token, "OpenStack-API-Version": "compute 2.90"}
        self._url = cloud.endpoint
        self._young: deque[tuple[float, str]] = deque()
        self._answers = Answers()

    def run(self, rate: float, seconds: float) -> Answers:
        """Offer so many requests per second for so long; waits for the answers."""
        return asyncio.run(self._run(rate, int(rate * seconds)))

    async def _run(self, rate: float, count: int) -> Answers:
        self._answers = Answers()
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)
        async with (
            httpx.AsyncClient(headers=self._headers, timeout=ANSWER_S, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as tasks,
        ):
            begun = time.perf_counter()
            for number in range(count):
                await asyncio.sleep(begun + number / rate - time.perf_counter())
                tasks.create_task(self._one(client, number))
        return self._answers

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        kind = MIX[number % len(MIX)]
        server = self._ids[number * 7919 % len(self._ids)]
        if kind == "delete":
            if not self._young or time.monotonic() - self._young[0][0] < OLD_S:
                kind = "show"
            else:
                server = self._young.popleft()[1]
        begun = time.perf_counter()
        try:
            reply = await self._send(client, kind, server)
        except httpx.HTTPError as exc:
            self._answers.bad[f"{kind} {type(exc).__name__}"] += 1
            return
        self._answers.times.setdefault(kind, []).append((time.perf_counter() - begun) * 1000)
        if not reply.is_success:
            self._answers.bad[f"{kind} {reply.status_code}"] += 1
        elif kind == "create":
            made: str = reply.json()["server"]["id"]
            self._young.append((time.monotonic(), made))
            self._answers.created.append(made)

    async def _send(self, client: httpx.AsyncClient, kind: str, server: str) -> httpx.Response:
        match kind:
            case "show":
                return await client.get(f"{self._url}/servers/{server}")
            case "list":
                return await client.get(f"{self._url}/servers/detail?limit=50")
            case "names":
                return await client.get(f"{self._url}/servers?limit=100")
            case "create":
                body = {"name": "offered", "imageRef": self._image, "flavorRef": FLAVOR, "networks": "auto"}
                return await client.post(f"{self._url}/servers", json={"server": body})
            case "delete":
                return await client.delete(f"{self._url}/servers/{server}")
            case _:
                return await client.get(f"{self._url}/flavors/detail")
