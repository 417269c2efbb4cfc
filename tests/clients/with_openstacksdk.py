# SPDX-License-Identifier: Apache-2.0
"""What a program does with openstacksdk.  Run by the client's own Python: clouds.yaml by the environment, an active
image's name as its argument.  It ends with an assertion that failed, or quietly."""

import sys

import openstack
from openstack import exceptions
from openstack.connection import Connection


def looks_around(conn: Connection, image: str) -> None:
    """Every proxy by its own lists and look-ups, by name and by id."""
    me = conn.identity.get_project(conn.current_project_id)
    assert conn.identity.find_project("admin").id == me.id
    assert conn.identity.find_user("admin").id == conn.current_user_id
    assert {"admin", "member", "reader"} <= {role.name for role in conn.identity.roles()}
    assert "m1.nano" in [flavor.name for flavor in conn.compute.flavors()]
    assert conn.compute.find_flavor("m1.tiny").ram == 512
    assert conn.compute.find_flavor("nothing", ignore_missing=True) is None
    (hypervisor,) = conn.compute.hypervisors(details=True)
    assert conn.compute.find_hypervisor(hypervisor.name).id == hypervisor.id
    (service,) = conn.compute.services(binary="nova-compute")
    assert (service.binary, service.state) == ("nova-compute", "up")
    assert [zone.name for zone in conn.compute.availability_zones()] == ["nova"]
    limits = conn.compute.get_limits().absolute
    quotas = conn.compute.get_quota_set(me.id, usage=True)
    assert (quotas.instances, quotas.usage["instances"]) == (limits.instances, limits.instances_used)
    found = conn.image.find_image(image)
    assert (found.status, conn.image.get_image(found.id).hash_algo) == ("active", "sha512")
    (network,) = conn.network.networks()
    (subnet,) = conn.network.subnets(network_id=network.id)
    assert conn.network.find_network(network.name).subnet_ids == [subnet.id]
    assert conn.network.find_extension("security-group") is not None
    assert [group.name for group in conn.network.security_groups()] == ["default"]
    assert [one.id for one in conn.list_networks()] == [network.id]
    assert found.id in [one.id for one in conn.list_images()]


def keeps_an_image(conn: Connection) -> None:
    """Bytes go up and come back; properties and tags are changed; it goes."""
    data = bytes(range(256)) * 4096
    made = conn.image.create_image("sdk", disk_format="raw", container_format="bare", data=data, role="spare")
    assert conn.image.download_image(made).content == data
    conn.image.update_image(made, name="sdk-too", role="used")
    conn.image.add_tag(made, "kept")
    (listed,) = conn.image.images(tag="kept", status="active")
    assert (listed.name, listed.properties["role"], listed.size) == ("sdk-too", "used", len(data))
    conn.image.deactivate_image(made)
    assert conn.image.get_image(made).status == "deactivated"
    conn.image.reactivate_image(made)
    conn.image.delete_image(made)
    assert conn.image.find_image(made.id) is None


def runs_a_server(conn: Connection, image: str) -> None:
    """By the cloud layer, which waits for addresses and asks the network for ports; then by the compute proxy."""
    before = conn.compute.get_limits().absolute.instances_used
    keypair = conn.create_keypair("sdk")
    assert "PRIVATE KEY" in keypair.private_key
    server = conn.create_server(
        "sdk", image=image, flavor="m1.nano", key_name="sdk", meta={"role": "web"}, wait=True, timeout=120
    )
    assert (server.status, server.key_name, server.metadata) == ("ACTIVE", "sdk", {"role": "web"})
    (port,) = conn.network.ports(device_id=server.id)
    assert [one["ip_address"] for one in port.fixed_ips] == [server.private_v4]
    assert conn.get_server("sdk").id == conn.compute.find_server("sdk").id == server.id
    assert [one.name for one in conn.compute.servers(details=False, name="^sdk$")] == ["sdk"]
    conn.compute.set_server_metadata(server, tier="gold")
    assert conn.compute.get_server_metadata(server).metadata == {"role": "web", "tier": "gold"}
    conn.compute.add_tag_to_server(server, "blue")
    assert [one.action for one in conn.compute.server_actions(server)] == ["create"]
    conn.compute.pause_server(server)
    conn.compute.wait_for_server(server, status="PAUSED", wait=60)
    conn.compute.unpause_server(server)
    conn.compute.wait_for_server(server, status="ACTIVE", wait=60)
    assert conn.compute.get_limits().absolute.instances_used == before + 1
    assert conn.delete_server("sdk", wait=True, timeout=120)
    assert conn.compute.find_server(server.id) is None
    assert list(conn.network.ports(device_id=server.id)) == []
    assert conn.delete_keypair("sdk")


def manages_what_servers_are_made_of(conn: Connection) -> None:
    """Flavors, aggregates, server groups, projects and users: made, found, changed, gone."""
    flavor = conn.compute.create_flavor(name="sdk", ram=64, vcpus=1, disk=1, is_public=False)
    conn.compute.create_flavor_extra_specs(flavor, {"tier": "gold"})
    assert conn.compute.fetch_flavor_extra_specs(flavor).extra_specs == {"tier": "gold"}
    conn.compute.flavor_add_tenant_access(flavor, conn.current_project_id)
    assert [one["tenant_id"] for one in conn.compute.get_flavor_access(flavor)] == [conn.current_project_id]
    conn.compute.delete_flavor(flavor)
    (service,) = conn.compute.services(binary="nova-compute")
    rack = conn.compute.create_aggregate(name="sdk")
    assert conn.compute.add_host_to_aggregate(rack, service.host).hosts == [service.host]
    assert conn.compute.set_aggregate_metadata(rack, {"disk": "ssd"}).metadata == {"disk": "ssd"}
    conn.compute.remove_host_from_aggregate(rack, service.host)
    conn.compute.delete_aggregate(rack)
    group = conn.compute.create_server_group(name="sdk", policy="anti-affinity")
    assert conn.compute.find_server_group("sdk").id == group.id
    conn.compute.delete_server_group(group)
    project = conn.identity.create_project(name="sdk")
    user = conn.identity.create_user(name="sdk", password="secret", default_project_id=project.id)
    conn.identity.assign_project_role_to_user(project, user, conn.identity.find_role("member"))
    assert [one.role["id"] for one in conn.identity.role_assignments(user_id=user.id)]
    member = conn.connect_as(username="sdk", password="secret", project_id=project.id, project_name=None)
    assert list(member.compute.servers()) == []
    try:
        list(member.compute.services())
    except exceptions.ForbiddenException:
        pass
    else:
        raise AssertionError("a member saw the services")
    conn.identity.delete_user(user)
    conn.identity.delete_project(project)


def main() -> None:
    (image,) = sys.argv[1:]
    with openstack.connect() as conn:
        looks_around(conn, image)
        keeps_an_image(conn)
        runs_a_server(conn, image)
        manages_what_servers_are_made_of(conn)


if __name__ == "__main__":
    main()
