# SPDX-License-Identifier: Apache-2.0
"""Images that ask for hardware were taken, and their servers got none of it: whatever is accepted is done, and what is
not done is refused by name, at each use of an image."""

from tests.service.api import Api, message

ASKS = {
    "hw_cpu_policy": "dedicated",
    "hw_mem_page_size": "1GB",
    "hw_numa_nodes": "9",
    "hw_disk_bus": "floppybus",
    "architecture": "nonsense",
    "trait:HW_CPU_X86_SGX": "required",
    "cinder_encryption_key_id": "00000000-0000-4000-8000-000000000000",
    "os_shutdown_timeout": "abc",
    "hw_firmwear_type": "uefi",
}


async def test_what_no_server_gets_is_refused_at_each_use_of_the_image(api: Api) -> None:
    server = await api.server(await api.image())
    image = await api.image(**ASKS)
    fault = message(await api.create(image), 400, "badRequest")
    for name in ASKS:
        assert {"architecture": "hw_architecture"}.get(name, name) in fault
    for action in ({"rebuild": {"imageRef": image}}, {"rescue": {"rescue_image_ref": image}}):
        refused = await api.act(server, action)
        assert "hw_numa_nodes=9" in message(refused, 400, "badRequest")
    assert (await api.compute("GET", f"/servers/{server}")).json()["server"]["status"] == "ACTIVE"


async def test_what_a_server_took_from_its_image_survives_the_images_edit_and_end(api: Api) -> None:
    """Its own images inherit it, as they would have before."""

    image = await api.image(os_distro="debian", colour="red", min_ram=64)
    server = await api.server(image)
    patch = [{"op": "replace", "path": "/os_distro", "value": "arch"}]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    path = f"/image/v2/images/{image}"
    assert (await api.call("PATCH", path, json=patch, headers=kind)).status_code == 200
    assert (await api.call("DELETE", path)).status_code == 204
    made = await api.act(server, {"createImage": {"name": "copy"}})
    copy = (await api.call("GET", f"/image/v2/images/{made.json()['image_id']}")).json()
    assert (copy["os_distro"], copy["colour"], copy["min_ram"]) == ("debian", "red", 64)


async def test_what_this_host_cannot_give_is_named_by_the_scheduler(api: Api) -> None:
    made = await api.create(await api.image(hw_architecture="aarch64"))
    server = await api.until(made.json()["server"]["id"], "ERROR")
    assert "hw_architecture=aarch64: it has i686, x86_64" in server["fault"]["message"]
    running = await api.server(await api.image(hw_disk_bus="sata"))
    shown = (await api.json(f"/servers/{running}"))["server"]
    assert shown["OS-EXT-SRV-ATTR:root_device_name"] == "/dev/sda"
    other = {"rebuild": {"imageRef": await api.image(img_hv_type="xen")}}
    refused = await api.act(running, other)
    assert "img_hv_type=xen" in message(refused, 400, "badRequest")
    mixed = await api.create(await api.image(os_secure_boot="required"))
    assert "needs hw_firmware_type=uefi" in message(mixed, 400, "badRequest")


async def test_a_server_with_an_emulated_tpm_is_neither_shelved_nor_rescued(api: Api) -> None:
    server = await api.server(await api.image(hw_tpm_version="2.0"))
    for action in ("shelve", "rescue"):
        refused = await api.act(server, {action: None})
        assert "emulated TPM" in message(refused, 409, "conflictingRequest")
