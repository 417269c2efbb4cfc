# SPDX-License-Identifier: Apache-2.0
"""Unified limits of images: set, seen by whom they are of, obeyed, and forgotten."""

from tests.service.api import Api, message
from tests.service.people import identity, member


async def test_a_projects_own_limit_of_images(api: Api) -> None:
    ann, _, home = await member(api, "ann")
    other, _, _ = await member(api, "other")
    services = (await identity(api, "GET", "/services?name=glance"))["services"]
    asked = {"project_id": home, "service_id": services[0]["id"], "resource_name": "image_count_total"}
    registered = (await identity(ann, "GET", "/registered_limits"))["registered_limits"]
    assert {one["resource_name"]: one["default_limit"] for one in registered} == {
        "image_count_total": 100,
        "image_size_total": 51200,
    }
    assert (await identity(ann, "GET", "/limits"))["limits"] == []
    body = {"limits": [{**asked, "resource_limit": 1}]}
    await identity(ann, "POST", "/limits", body, 403)
    (made,) = (await identity(api, "POST", "/limits", body, 201))["limits"]
    assert {**asked, "resource_limit": 1}.items() <= made.items()
    await identity(api, "POST", "/limits", body, 409)
    for wrong in ({"resource_name": "cores"}, {"service_id": "x"}, {"region_id": "elsewhere"}):
        await identity(api, "POST", "/limits", {"limits": [{**asked, "resource_limit": 1, **wrong}]}, 400)
    unknown = {"limits": [{**asked, "resource_limit": 1, "project_id": "nobody"}]}
    await identity(api, "POST", "/limits", unknown, 404)

    assert (await identity(ann, "GET", "/limits?resource_name=image_count_total"))["limits"] == [made]
    assert (await identity(other, "GET", "/limits"))["limits"] == []
    path = f"/limits/{made['id']}"
    assert (await identity(ann, "GET", path))["limit"] == made
    await identity(other, "GET", path, status=404)

    image = {"disk_format": "raw", "container_format": "bare"}
    assert (await ann.call("POST", "/image/v2/images", json=image)).status_code == 201
    assert "quota is 1" in message(await ann.call("POST", "/image/v2/images", json=image), 413, "overLimit")
    changed = await identity(api, "PATCH", path, {"limit": {"resource_limit": 2}})
    assert changed["limit"] == {**made, "resource_limit": 2}
    assert (await ann.call("POST", "/image/v2/images", json=image)).status_code == 201
    assert (await ann.call("POST", "/image/v2/images", json=image)).status_code == 413
    await identity(ann, "DELETE", path, status=403)
    await identity(api, "DELETE", path, status=204)
    await identity(api, "DELETE", path, status=404)
    assert (await ann.call("POST", "/image/v2/images", json=image)).status_code == 201
