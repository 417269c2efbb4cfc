# SPDX-License-Identifier: Apache-2.0
"""The catalog piece by piece, as `openstack service list` and `openstack endpoint list` ask for it."""

from tests.service.api import Api
from tests.service.people import identity, member


async def test_services_endpoints_and_the_region_are_those_of_the_catalog(api: Api) -> None:
    catalog = (await identity(api, "GET", "/auth/catalog"))["catalog"]
    services = (await identity(api, "GET", "/services"))["services"]
    assert [(one["id"], one["type"], one["name"]) for one in services] == [
        (one["id"], one["type"], one["name"]) for one in catalog
    ]
    endpoints = (await identity(api, "GET", "/endpoints"))["endpoints"]
    assert {(one["service_id"], one["interface"], one["url"]) for one in endpoints} == {
        (one["id"], end["interface"], end["url"]) for one in catalog for end in one["endpoints"]
    }
    (compute,) = (await identity(api, "GET", "/services?type=compute"))["services"]
    assert (compute["name"], compute["enabled"]) == ("nova", True)
    assert (await identity(api, "GET", "/services?name=glance&type=compute"))["services"] == []
    path = f"/endpoints?service_id={compute['id']}&interface=public&region_id=RegionOne"
    (endpoint,) = (await identity(api, "GET", path))["endpoints"]
    assert (endpoint["url"], endpoint["enabled"]) == ("http://box/compute/v2.1", True)
    for kind, thing in (("service", compute), ("endpoint", endpoint)):
        followed = thing["links"]["self"].removeprefix("http://box/identity/v3")
        assert (await identity(api, "GET", followed))[kind] == thing
        await identity(api, "GET", f"/{kind}s/nothing", status=404)
    regions = (await identity(api, "GET", "/regions"))["regions"]
    assert regions == [(await identity(api, "GET", "/regions/RegionOne"))["region"]]
    await identity(api, "GET", "/regions/nowhere", status=404)
    ann, _, _ = await member(api, "ann")
    await identity(ann, "GET", "/services", status=403)
    await identity(ann, "GET", "/endpoints", status=403)
    assert (await identity(ann, "GET", "/regions"))["regions"] == regions
