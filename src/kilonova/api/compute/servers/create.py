# SPDX-License-Identifier: Apache-2.0
"""POST /servers: everything is checked before anything is stored.

The complete records are made here, with their ids, so that the request to the conductor can be repeated.
"""

import base64
import binascii
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from kilonova.api.compute.fields import NAME_CHARACTERS
from kilonova.api.compute.flavor_lookup import flavor_for_server
from kilonova.api.compute.image_fitness import bootable, check_sizes, get_image, missing_is_invalid
from kilonova.api.compute.servers import destination, idempotency, network_request, scheduler_hints
from kilonova.api.compute.servers.hardware import check_hardware
from kilonova.api.compute.servers.models import BlockDevice, CreateServer, NewServer
from kilonova.api.compute.servers.network_request import NetworkRequest
from kilonova.api.compute.servers.personality import files_of
from kilonova.api.compute.servers.resource import viewer_of
from kilonova.api.compute.servers.scheduler_hints import Hints, hints_of
from kilonova.api.compute.servers.view import CREATED
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import Microversion, v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.context import RequestContext
from kilonova.base.errors import Forbidden, InvalidInput
from kilonova.db.readers import hosts
from kilonova.db.readers import keypairs as read_keypairs
from kilonova.db.transaction import Snapshot
from kilonova.networks.ids import security_group_id
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, HostName, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import ROOT_TAG, InjectedFile, Instance, nic_tag
from kilonova.objects.keypair import Keypair
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers

MOST_AT_ONCE = 1000
_NOT_IN_HOST_NAMES = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The objects that a server is made from, checked against each other."""

    flavor: Flavor
    image: ImageRef
    keypair: Keypair | None
    host: HostName | None
    files: tuple[InjectedFile, ...] = ()


async def create(call: Call, body: CreateServer) -> Reply:
    """Create servers: 202 with the first of them, or with the reservation's id by return_reservation_id."""
    request = destination.permitted(call, body.server)
    idempotent = idempotency.key_of(call, body)
    if idempotent is not None and (first := await idempotency.first_reply(call, idempotent, request.admin_pass)):
        return first
    hints = hints_of({**body.hints, **body.old_hints})
    _check_block_devices(request, call.version)
    _check_rest(request, call.context.project_id)
    nics = network_request.parse(request, call.version)
    files = await files_of(call, request.personality, "server.personality")
    parts = replace(await call.db.read(_find_parts, request, hints, call.context), files=files)
    networks = await call.db.read(network_request.names, nics) if nics.ids else ()
    network_request.check_count(nics, request.max_count or request.min_count)
    made = _instances(call, request, parts, hints, wants_network=nics.any)
    tags = _device_tags(request, networks, nics)
    instances = tuple(replace(instance, device_tags=tags) for instance in made) if tags else made
    answer, location = _answer(call, request, instances[0])
    if idempotent is not None:
        kept = idempotency.answer_of(answer, location, request.admin_pass)
        idempotent = replace(idempotent, answer=kept)
    created = await call.deps.rpc.call(
        CREATE_SERVERS,
        CreateServers(
            call.context,
            instances,
            networks,
            nics.fixed_ips,
            parts.host,
            hints.same_host,
            hints.different_host,
            least=request.min_count,
            idempotent=idempotent,
        ),
    )
    if created.answer is not None:  # another request with the same key was recorded first
        return idempotency.reply_of(call, created.answer, request.admin_pass)
    return idempotency.accepted(call, answer, location)


def _answer(call: Call, server: NewServer, first: Instance) -> tuple[dict[str, Any], str]:
    """The answer to an accepted request, and the URL of the first server."""
    location = call.links.to(f"/servers/{first.id}")
    if server.return_reservation_id:
        return {"reservation_id": first.reservation_id}, location
    password = server.admin_pass or call.deps.clock.new_secret(9)
    return CREATED.show(first, replace(viewer_of(call), admin_pass=password)), location


def _check_block_devices(request: NewServer, version: Microversion) -> None:
    """Clients name the image as imageRef and also as a local disk with boot index 0: both are the root disk."""
    if not request.image:
        raise InvalidInput("Invalid imageRef provided: a server boots from an image.", path="server.imageRef")
    if len(request.block_devices) > 1 or not all(
        _is_root_disk(device, request.image) for device in request.block_devices
    ):
        raise InvalidInput(
            "Only the root disk can be given as a block device: source_type image, destination_type local, "
            "boot_index 0 and the uuid of imageRef.",
            path="server.block_device_mapping_v2",
        )

    if any(device.tag is not None for device in request.block_devices) and v2(32) < version < v2(42):
        # Nova lost them in between.
        raise InvalidInput("A tag is accepted at 2.32 and from 2.42 on.", path="server.block_device_mapping_v2")


def _device_tags(request: NewServer, networks: tuple[str, ...], nics: NetworkRequest) -> dict[str, str]:
    found = {nic_tag(name): tag for name, tag in zip(networks, nics.tags, strict=False) if tag is not None}
    root = next((device.tag for device in request.block_devices), None)
    return found if root is None else {**found, ROOT_TAG: root}


def _is_root_disk(device: BlockDevice, image: str) -> bool:
    return (
        device.source_type == "image"
        and device.destination_type == "local"
        and device.boot_index == 0
        and device.uuid == image
        and not device.no_device
        and device.volume_size is None
    )


def _check_rest(request: NewServer, project_id: str) -> None:
    # Clients of the Network API send a group's id.
    if any(group.name not in ("default", security_group_id(project_id)) for group in request.security_groups):
        raise InvalidInput("The only security group here is default.", path="server.security_groups")
    most = request.max_count or request.min_count
    if most < request.min_count:
        raise InvalidInput("min_count must be <= max_count", path="server.min_count")
    if most > MOST_AT_ONCE:
        raise Forbidden(f"At most {MOST_AT_ONCE} servers can be created by one request.")
    if most > 1 and len(f"{request.name}-{most}") > NAME_CHARACTERS:
        longest = NAME_CHARACTERS - len(f"-{most}")
        raise InvalidInput(
            f"Each of {most} servers has its number behind the name, which may have at most {longest} characters then.",
            path="server.name",
        )
    if request.user_data is not None:
        check_user_data(request.user_data, "server.user_data")


def check_user_data(text: str, path: str) -> None:
    """Raises InvalidInput unless it is base64."""
    try:
        # Some clients wrap their lines.
        base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput("The user_data is not valid base64.", path=path) from exc


def _find_parts(snapshot: Snapshot, request: NewServer, hints: Hints, context: RequestContext) -> _Parts:
    """Missing references in the body are 400; only the resource in the path is 404."""
    flavor = flavor_for_server(snapshot, FlavorId(request.flavor), context, "server.flavorRef")
    image = get_image(snapshot, request.image, context, "server.imageRef")
    keypair = None
    if request.key_name is not None:
        with missing_is_invalid("server.key_name"):
            keypair = read_keypairs.get_keypair(snapshot, context.user_id, request.key_name)
    scheduler_hints.check(snapshot, hints, context)
    _check_zone(snapshot, request.availability_zone)
    host = None
    if request.host is not None or request.node is not None:
        with missing_is_invalid("server.host" if request.host is not None else "server.hypervisor_hostname"):
            host = hosts.destination(snapshot, request.host, request.node)
    ref = bootable(image, "server.imageRef")
    check_sizes(flavor, image, ref, "server.flavorRef")
    check_hardware(flavor, ref.properties, "server.flavorRef")
    return _Parts(flavor, ref, keypair, host)


def _check_zone(snapshot: Snapshot, zone: str | None) -> None:
    if zone is None:
        return
    if zone not in hosts.zones(snapshot):
        raise InvalidInput(f"The requested availability zone {zone} is not available.", path="server.availability_zone")


def _instances(
    call: Call, request: NewServer, parts: _Parts, hints: Hints, *, wants_network: bool
) -> tuple[Instance, ...]:
    clock, now = call.deps.clock, call.deps.clock.now()
    count = request.max_count or request.min_count
    reservation = f"r-{call.context.request_id[-8:]}"
    made: list[Instance] = []
    for index in range(count):
        instance_id = InstanceId(clock.new_id())
        name = request.name if count == 1 else f"{request.name}-{index + 1}"
        at = now + timedelta(microseconds=index)  # so that lists keep them in order
        made.append(
            Instance(
                id=instance_id,
                project_id=call.context.project_id,
                user_id=call.context.user_id,
                name=name,
                hostname=_hostname(request, instance_id, index, count),
                flavor=parts.flavor,
                image=parts.image,
                created_at=at,
                updated_at=at,
                availability_zone=request.availability_zone,
                requested_zone=request.availability_zone,
                wants_network=wants_network,
                config_drive=request.config_drive,
                key_name=None if parts.keypair is None else parts.keypair.name,
                key_data=None if parts.keypair is None else parts.keypair.public_key,
                user_data=request.user_data,
                files=parts.files,
                metadata=request.metadata,
                tags=tuple(dict.fromkeys(request.tags)),
                description=request.description,
                reservation_id=reservation,
                launch_index=index,
                disk_config=request.disk_config,
                access_ip_v4=request.access_ip_v4,
                access_ip_v6=request.access_ip_v6,
                server_group_id=hints.group,
            )
        )
    return tuple(made)


def _hostname(request: NewServer, instance_id: InstanceId, index: int, count: int) -> str:
    """The given host name, or one derived from the server's name.  Each of several servers has its number at the end,
    also if the name is longer than a host name can be."""
    hostname = request.hostname or hostname_of(request.name, instance_id)
    if count == 1:
        return hostname
    number = f"-{index + 1}"
    return hostname[: 63 - len(number)].rstrip("-") + number


def hostname_of(name: str, instance_id: InstanceId) -> str:
    """A host name derived from a server's name: one label of letters, digits and hyphens (RFC 1123), at most 63
    characters."""
    words = re.sub(r"[ _.]", "-", name.lower())
    label = _NOT_IN_HOST_NAMES.sub("", words).strip("-")[:63].rstrip("-")
    return label or f"server-{instance_id}"


ROUTES = (
    Route("POST", "/servers", create, "os_compute_api:servers:create", DefaultPolicy.MEMBER, 202,
        reply=idempotency.ACCEPTED, note="and Location", idempotency_header=idempotency.HEADER, body=CreateServer),
)  # fmt: skip
