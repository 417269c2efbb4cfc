# SPDX-License-Identifier: Apache-2.0
"""What is compared after a crash: a server as the API shows it, and its guest as it lies on its machine."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.crashes.cloud import Cloud

View = Mapping[str, Any]


def of_server(cloud: Cloud, server_id: str) -> View:
    """The server, its images and its guests; every value must be the same with and without a crash."""
    server = cloud.client.server(server_id)
    shown: dict[str, Any] = {"status": None, "task": None, "power": None}
    if server is not None:
        task, power = server["OS-EXT-STS:task_state"], server["OS-EXT-STS:power_state"]
        shown = {"status": server["status"], "task": task, "power": power, "flavor": server["flavor"]["original_name"]}
    return {**shown, "guests": cloud.guests(server_id), "images": images(cloud, server_id)}


def images(cloud: Cloud, server_id: str) -> list[str]:
    """The status of each image that was made of the server."""
    found = cloud.client.http.get("/image/v2/images", params={"name": f"of-{server_id}"}).json()["images"]
    return [one["status"] for one in found]


def differences(http: httpx.Client) -> list[str]:
    """What `kilonova verify` finds: one line for each difference, and for each part that it cannot compare."""
    services = http.get("/compute/v2.1/os-services?binary=nova-compute").json()["services"]
    parts = [{"part": "database"}, *({"part": "host", "host": one["host"]} for one in services), {"part": "images"}]
    found: list[str] = []
    for part in parts:
        request = {**part, "repair": False, "pause_seconds": 30, "checksums": False, "begin": False}
        reply = http.post("/compute/v2.1/kilonova/verify", json={"verify": request})
        if reply.status_code != 200:
            found.append(f"{part}: {reply.status_code} {reply.text}")
            continue
        seen = reply.json()["verification"]
        found += [f"{one['code']} {one['host']} {one['subject']}: {one['found']}" for one in seen["differences"]]
        found += [seen["unseen"]] if seen["unseen"] else []
    return found
