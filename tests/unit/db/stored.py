# SPDX-License-Identifier: Apache-2.0
"""Objects of each kind that a database holds, as few and as many of their fields set as can be."""

from datetime import UTC, datetime, timedelta

from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.aggregate import Aggregate
from kilonova.objects.flavor import Flavor
from kilonova.objects.hardware import Offer
from kilonova.objects.ids import ActionId, FlavorId, HostName, ImageId, InstanceId, ServerGroupId
from kilonova.objects.image import Image, ImageRef, ImageStatus
from kilonova.objects.instance import Address, Fault, InjectedFile, Instance
from kilonova.objects.keypair import Keypair
from kilonova.objects.leg import Leg, LegState, one_leg
from kilonova.objects.server_group import GroupPolicy, ServerGroup
from kilonova.objects.service import HostNetwork, Inventory, Service
from kilonova.objects.states import ActionState, PowerState, Verb, VmState

THEN = datetime(2026, 9, 1, 12, 30, 15, 250, tzinfo=UTC)
LATER = THEN + timedelta(minutes=3)
HOST = HostName("hyp-1.example")
SMALL = Flavor(FlavorId("1"), "m1.tiny", 1, 512, 1)
LARGE = Flavor(
    id=FlavorId("f-2"),
    name="große",
    vcpus=8,
    memory_mib=16384,
    disk_gib=0,
    ephemeral_gib=10,
    swap_mib=512,
    rxtx_factor=2.5,
    is_public=False,
    disabled=True,
    description="for databases",
    extra_specs={"hw:cpu_sockets": "2", "quota:x": ""},
)
PLAIN_REF = ImageRef(ImageId("im-1"), "qcow2", 2**33, 2**40, "ab" * 64)
FULL_REF = ImageRef(ImageId("im-2"), "raw", 1, 2, "cd" * 64, 64, 3, {"hw_machine_type": "q35", "os_type": "linux"})
ADDRESSES = (
    Address(
        "kilonova", "10.9.0.2", "fa:16:3e:00:00:01", 24, "10.9.0.1", ("10.9.0.1", "9.9.9.9"), 9000, False, "127.2.0.1"
    ),
    Address("lab", "10.8.0.2", "fa:16:3e:00:00:02", 16, ""),
)
PLAIN_INSTANCE = Instance(InstanceId("i-1"), "p", "u", "web", "web", SMALL, PLAIN_REF, THEN, THEN)
FULL_INSTANCE = Instance(
    id=InstanceId("i-2"),
    project_id="p",
    user_id="u",
    name="größer",
    hostname="groesser",
    flavor=LARGE,
    image=FULL_REF,
    created_at=THEN,
    updated_at=LATER,
    vm_state=VmState.SHELVED_OFFLOADED,
    task_state=None,
    power_state=PowerState.CRASHED,
    desired_power=PowerState.SHUTDOWN,
    host=HOST,
    node="node-1",
    availability_zone="az1",
    requested_zone="az2",
    wants_network=False,
    addresses=ADDRESSES,
    config_drive=True,
    key_name="k",
    key_data="ssh-ed25519 AAAA k",
    user_data="aGVsbG8=",
    files=(InjectedFile("/etc/motd", "aGVsbG8="), InjectedFile("/a", "")),
    metadata={"a": "ü", "b": ""},
    tags=("x", "y"),
    description="d",
    reservation_id="r-1",
    launch_index=3,
    launched_at=THEN,
    terminated_at=LATER,
    locked_by="admin",
    locked_reason="because",
    fault=Fault(500, "No valid host was found.", LATER),
    disk_config="AUTO",
    access_ip_v4="192.0.2.1",
    access_ip_v6="2001:db8::1",
    server_group_id=ServerGroupId("g-1"),
    old_flavor=SMALL,
    new_flavor=LARGE,
    old_vm_state=VmState.STOPPED,
    rescue_image=PLAIN_REF,
    shelved_image=FULL_REF,
    device_tags={"root": "disk", "nic:kilonova": "net"},
)
PLAIN_ACTION = Action(
    ActionId("a-1"), InstanceId("i-1"), Verb.STOP, "req-1", "u", "p", THEN, THEN, LATER, one_leg(None, "stop")
)
FULL_ACTION = Action(
    id=ActionId("a-2"),
    instance_id=InstanceId("i-2"),
    verb=Verb.START,
    request_id="req-2",
    user_id="u",
    project_id="p",
    started_at=THEN,
    updated_at=LATER,
    deadline=LATER,
    legs=(Leg(HOST, "start", LegState.FAILED),),
    state=ActionState.FAILED,
    message="said",
    ended_at=LATER,
    counted_at=THEN,
)
PLAIN_EVENT = ActionEvent("compute.stop.power", THEN)
FULL_EVENT = ActionEvent("compute.start.power", THEN, LATER, "Error", HOST, "why")
PLAIN_IMAGE = Image(ImageId("im-1"), None, ImageStatus.QUEUED, "p", "private", None, None, THEN, THEN)
FULL_IMAGE = Image(
    id=ImageId("im-2"),
    name="cirros",
    status=ImageStatus.ACTIVE,
    owner="p",
    visibility="shared",
    disk_format="raw",
    container_format="bare",
    created_at=THEN,
    updated_at=LATER,
    size=2**33,
    virtual_size=2**40,
    checksum="0" * 32,
    os_hash_value="ab" * 64,
    min_disk=1,
    min_ram=64,
    protected=True,
    os_hidden=True,
    reserved=5,
    tags=("a", "b"),
    properties={"hw_machine_type": "pc"},
)
KEYPAIR = Keypair("u", "k", "ssh", "ssh-ed25519 AAAA k", "aa:bb", THEN, 7)
PLAIN_GROUP = ServerGroup(ServerGroupId("g-1"), "p", "u", "web", GroupPolicy.SOFT_AFFINITY, THEN)
FULL_GROUP = ServerGroup(
    ServerGroupId("g-2"), "p", "u", "db", GroupPolicy.ANTI_AFFINITY, THEN, {"max_server_per_host": 3}
)
AGGREGATE = Aggregate(4, "agg-4", "fast", "az1", THEN, LATER, {"ssd": "true"}, (HostName("h1"), HostName("h2")))
PLAIN_INVENTORY = Inventory("node-0", "QEMU", 8002000, 4, 8192, 100, 16, 8192, 100)
FULL_INVENTORY = Inventory(
    node="node-1",
    hypervisor_type="KVM",
    hypervisor_version=9000000,
    vcpus=4,
    memory_mib=8192,
    disk_gib=100,
    vcpus_capacity=16,
    memory_mib_capacity=7680,
    disk_gib_capacity=90,
    host_ip="192.0.2.7",
    arch="aarch64",
    disk_available_gib=55,
    disk_short="full",
    cpu_info={"model": "host", "topology": {"cores": 4, "sockets": 1}, "features": ["aes", "vmx"]},
    networks=(
        HostNetwork(
            "kilonova", "user", "10.9.0.0/24", "10.9.0.1", "10.9.0.2", "10.9.0.254", ("9.9.9.9",), 1400, "", 22
        ),
        HostNetwork("lan", "bridge", "192.0.2.0/24", "192.0.2.1", "192.0.2.64", "192.0.2.95", bridge="br0"),
    ),
    offer=Offer(("x86_64",), ("kvm", "qemu"), ("q35", "pc"), ("virtio",), ("vga",), ("bios",), ("required",), ("2.0",)),
)
SERVICE = Service(
    id="s-1",
    host=HOST,
    binary="kilonova-compute",
    topic="compute",
    zone="nova",
    epoch=3,
    up=True,
    disabled=True,
    disabled_reason="maintenance",
    disabled_by_host=False,
    forced_down=True,
    version=1,
    updated_at=LATER,
    created_at=THEN,
)
