# SPDX-License-Identifier: Apache-2.0
"""On a full disk deletes, stops and an administrator's requests go on, the rest is refused, and /readyz says so."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.api.http.disk_space import ON_FULL
from kilonova.api.rules import RULES
from tests.service.api import Api, message
from tests.service.people import DOMAIN, ask, identity, member

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGt0bGTXK3uOJYc1jQeLfLpVKZJLZ2bGpkGNvFfXGXkP a@b"


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch, free: int = 0, total: int = 1 << 40) -> Generator[None]:
    """The file system of every path says that it has so many bytes."""
    real = os.statvfs

    def answer(path: Any) -> os.statvfs_result:
        found = real(path)
        values = list(found)
        values[2:5] = (
            total // found.f_frsize,
            free // found.f_frsize,
            free // found.f_frsize,
        )  # f_blocks, f_bfree, f_bavail
        return os.statvfs_result(values)

    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", answer)
        yield


async def ready(api: Api) -> tuple[int, str]:
    reply = await api.cloud.http.get("/readyz")
    return reply.status_code, reply.json().get("reason", "")


async def test_what_goes_on_and_what_waits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, ann_id, _ = await member(api, "ann")
    image_id = await ann.image()
    stopped, deleted = await ann.server(image_id), await ann.server(image_id)
    assert await ready(api) == (200, "")
    with full(monkeypatch):
        status, reason = await ready(api)
        assert status == 503
        assert "full" in reason
        for method, path, body in (
            ("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}}),
            ("POST", f"/compute/v2.1/servers/{stopped}/metadata", {"metadata": {"a": "b"}}),
            ("POST", f"/compute/v2.1/servers/{stopped}/action", {"suspend": None}),
            ("POST", "/image/v2/images", {"disk_format": "raw", "container_format": "bare"}),
            ("PUT", f"/compute/v2.1/servers/{stopped}", {"server": {"name": "new"}}),
        ):
            reply = await ann.call(method, path, json=body)
            assert "Only deletes and stops" in message(reply, 503, "serviceUnavailable"), path
        refused = await ann.create(image_id)
        assert "Only deletes and stops" in message(refused, 503, "serviceUnavailable")
        assert (await ann.act(stopped, {"os-stop": None})).status_code == 202
        await ann.until(stopped, "SHUTOFF")
        assert (await ann.compute("DELETE", f"/servers/{deleted}")).status_code == 204
        await ann.until(deleted, "GONE")
        said = {"user": {"name": "ann", "domain": DOMAIN, "password": "password of ann"}}
        assert (await ask(api, "password", said)).status_code == 201
        await identity(api, "PATCH", f"/users/{ann_id}", {"user": {"description": "full of it"}})
        assert (await ann.call("DELETE", f"/image/v2/images/{image_id}")).status_code == 204
    assert await ready(api) == (200, "")
    assert (await ann.compute("DELETE", f"/servers/{stopped}")).status_code == 204


async def test_a_database_that_takes_nothing_is_not_ready(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, _, _ = await member(api, "ann")

    pages = [1]  # fewer than there are: then those that there are
    engine = api.cloud.box.app.deps.db._engine

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}")

    sa.event.listen(engine, "checkout", limit)
    status, reason = 200, ""
    for number in range(60):
        body = {"keypair": {"name": f"k{number}", "public_key": f"{KEY}{'x' * 4000}"}}
        if (await ann.compute("POST", "/os-keypairs", body)).status_code == 503:
            status, reason = await ready(api)
            if status == 503:  # else a small write of another part found room meanwhile
                break
    assert (status, "full" in reason) == (503, True)
    pages[0] = 1_000_000
    assert await ready(api) == (200, "")


def test_what_goes_on_is_named_by_rules_that_there_are() -> None:
    assert ON_FULL - RULES.keys() <= {"identity:authenticate"}  # which asks no policy


def test_a_small_disk_is_full_later_than_a_large_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from kilonova.api.http.disk_space import _full  # pyright: ignore[reportPrivateUsage]

    for free, total, words in (
        (65 << 20, 1 << 40, ""),
        (63 << 20, 1 << 40, "is full"),
        (6 << 20, 100 << 20, ""),
        (4 << 20, 100 << 20, "is full"),
    ):
        with full(monkeypatch, free, total):
            assert words in (said := _full(tmp_path)[0])
            assert bool(said) == bool(words)
    assert "cannot be used" in _full(tmp_path / "nowhere")[0]
