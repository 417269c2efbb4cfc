# SPDX-License-Identifier: Apache-2.0
"""The requests that one transaction carries out: the catalogue, people, quotas, images, hosts."""

import base64
from collections.abc import Mapping, Sequence

from tests.crashes.scenario import Call, Edit, Scenario

C, ID, G = "/compute/v2.1", "/identity/v3", "/image/v2"

FLAVOR = Call("POST", f"{C}/flavors", {"flavor": {"id": "{}", "name": "{}", "ram": 64, "vcpus": 1, "disk": 1}})
NO_FLAVOR = Call("DELETE", f"{C}/flavors/{{}}")
PRIVATE = Call(
    "POST",
    f"{C}/flavors",
    {
        "flavor": {
            "id": "{}",
            "name": "{}",
            "ram": 64,
            "vcpus": 1,
            "disk": 1,
            "os-flavor-access:is_public": False,
        }
    },
)
PUBLIC = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(32)).decode()
KEY = Call(
    "POST", f"{C}/os-keypairs", {"keypair": {"name": "{}", "type": "ssh", "public_key": f"ssh-ed25519 {PUBLIC}"}}
)
NO_KEY = Call("DELETE", f"{C}/os-keypairs/{{}}")
GROUP = Call("POST", f"{C}/os-server-groups", {"server_group": {"name": "{}", "policy": "affinity"}}, "server_group.id")
NO_GROUP = Call("DELETE", f"{C}/os-server-groups/{{id}}")
AGGREGATE = Call("POST", f"{C}/os-aggregates", {"aggregate": {"name": "{}"}}, "aggregate.id")
NO_AGGREGATE = Call("DELETE", f"{C}/os-aggregates/{{id}}")
IMAGE = Call("POST", f"{G}/images", {"name": "{}", "disk_format": "raw", "container_format": "bare"}, "id")
NO_IMAGE = Call("DELETE", f"{G}/images/{{id}}")
PROJECT = Call("POST", f"{ID}/projects", {"project": {"name": "{}"}}, "project.id")
NO_PROJECT = Call("DELETE", f"{ID}/projects/{{id}}")
USER = Call("POST", f"{ID}/users", {"user": {"name": "{}", "password": "a long password"}}, "user.id")
NO_USER = Call("DELETE", f"{ID}/users/{{id}}")
PEOPLE = Call("POST", f"{ID}/groups", {"group": {"name": "{}"}}, "group.id")
NO_PEOPLE = Call("DELETE", f"{ID}/groups/{{id}}")
ROLE = Call("POST", f"{ID}/roles", {"role": {"name": "{}"}}, "role.id")
NO_ROLE = Call("DELETE", f"{ID}/roles/{{id}}")
QUOTAS = Call("PUT", f"{C}/os-quota-sets/{{id}}", {"quota_set": {"cores": 7}})
NO_QUOTAS = Call("DELETE", f"{C}/os-quota-sets/{{id}}")
METADATA = f"{C}/servers/{{server}}/metadata"
TAG = f"{C}/servers/{{server}}/tags/{{}}"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
BYTES = {"Content-Type": "application/octet-stream"}
ALL_BYTES = Call("PUT", f"{G}/images/{{id}}/file", b"\x55" * 4096, headers=BYTES)
MEMBER = Call("POST", f"{G}/images/{{id}}/members", {"member": "{}"})
ADD_HOST = Call("POST", f"{C}/os-aggregates/{{id}}/action", {"add_host": {"host": "{host}"}})
NO_HOST = Call("POST", f"{C}/os-aggregates/{{id}}/action", {"remove_host": {"host": "{host}"}})
CACHE = Call("POST", f"{C}/os-aggregates/{{id}}/images", {"cache": [{"id": "{image}"}]})
GRANT = f"{ID}/projects/{{project}}/users/{{id}}/roles/{{role}}"
CREDENTIALS = f"{ID}/users/{{user}}/application_credentials"
CREDENTIAL = Call("POST", CREDENTIALS, {"application_credential": {"name": "{}"}}, "application_credential.id")
SERVICE = Call("POST", f"{ID}/services", {"service": {"type": "t-{}", "name": "{}"}}, "service.id")


def _repair(**part: str) -> Call:
    more = {"repair": True, "pause_seconds": 0, "checksums": False, "begin": False}
    return Call("POST", f"{C}/kilonova/verify", {"verify": {**part, **more}})


def _edits(*rows: tuple[str, Call, Sequence[Call], Sequence[Call]]) -> Mapping[str, Scenario]:
    return {name: Edit(name, call, make, unmake) for name, call, make, unmake in rows}


EDITS = _edits(
    ("create a flavor", FLAVOR, (), (NO_FLAVOR,)),
    ("delete a flavor", NO_FLAVOR, (FLAVOR,), ()),
    (
        "describe a flavor",
        Call("PUT", f"{C}/flavors/{{}}", {"flavor": {"description": "words"}}),
        (FLAVOR,),
        (NO_FLAVOR,),
    ),
    (
        "extra specs",
        Call("POST", f"{C}/flavors/{{}}/os-extra_specs", {"extra_specs": {"a": "b"}}),
        (FLAVOR,),
        (NO_FLAVOR,),
    ),
    (
        "access to a flavor",
        Call("POST", f"{C}/flavors/{{}}/action", {"addTenantAccess": {"tenant": "{project}"}}),
        (PRIVATE,),
        (NO_FLAVOR,),
    ),
    ("create a key pair", KEY, (), (NO_KEY,)),
    ("delete a key pair", NO_KEY, (KEY,), ()),
    ("create a server group", GROUP, (), ()),
    ("delete a server group", NO_GROUP, (GROUP,), ()),
    ("set quotas", QUOTAS, (PROJECT,), (NO_QUOTAS, NO_PROJECT)),
    ("delete quotas", NO_QUOTAS, (PROJECT, QUOTAS), (NO_PROJECT,)),
    ("create an aggregate", AGGREGATE, (), ()),
    (
        "change an aggregate",
        Call("PUT", f"{C}/os-aggregates/{{id}}", {"aggregate": {"availability_zone": "z-{}"}}),
        (AGGREGATE,),
        (NO_AGGREGATE,),
    ),
    ("delete an aggregate", NO_AGGREGATE, (AGGREGATE,), ()),
    ("create an image", IMAGE, (), ()),
    ("delete an image", NO_IMAGE, (IMAGE,), ()),
    ("create a project", PROJECT, (), ()),
    (
        "change a project",
        Call("PATCH", f"{ID}/projects/{{id}}", {"project": {"description": "words"}}),
        (PROJECT,),
        (NO_PROJECT,),
    ),
    ("tag a project", Call("PUT", f"{ID}/projects/{{id}}/tags/blue"), (PROJECT,), (NO_PROJECT,)),
    ("delete a project", NO_PROJECT, (PROJECT,), ()),
    ("create a user", USER, (), ()),
    ("change a user", Call("PATCH", f"{ID}/users/{{id}}", {"user": {"description": "words"}}), (USER,), (NO_USER,)),
    ("delete a user", NO_USER, (USER,), ()),
    ("create a group", PEOPLE, (), ()),
    (
        "change a group",
        Call("PATCH", f"{ID}/groups/{{id}}", {"group": {"description": "words"}}),
        (PEOPLE,),
        (NO_PEOPLE,),
    ),
    ("delete a group", NO_PEOPLE, (PEOPLE,), ()),
    ("create a role", ROLE, (), ()),
    ("change a role", Call("PATCH", f"{ID}/roles/{{id}}", {"role": {"description": "words"}}), (ROLE,), (NO_ROLE,)),
    ("delete a role", NO_ROLE, (ROLE,), ()),
    ("name a server", Call("PUT", f"{C}/servers/{{server}}", {"server": {"name": "{}"}}), (), ()),
    (
        "set metadata",
        Call("POST", METADATA, {"metadata": {"{}": "value"}}),
        (),
        (Call("DELETE", f"{METADATA}/{{}}"),),
    ),
    ("tag a server", Call("PUT", TAG), (), (Call("DELETE", TAG),)),
    ("enable a service", Call("PUT", f"{C}/os-services/{{service}}", {"status": "enabled"}), (), ()),
    ("upload an image", ALL_BYTES, (IMAGE,), (NO_IMAGE,)),
    (
        "change an image",
        Call("PATCH", f"{G}/images/{{id}}", [{"op": "replace", "path": "/name", "value": "new"}], headers=PATCH),
        (IMAGE,),
        (NO_IMAGE,),
    ),
    ("share an image", MEMBER, (IMAGE,), (NO_IMAGE,)),
    ("share an image no more", Call("DELETE", f"{G}/images/{{id}}/members/{{}}"), (IMAGE, MEMBER), (NO_IMAGE,)),
    ("add a host to an aggregate", ADD_HOST, (AGGREGATE,), (NO_HOST, NO_AGGREGATE)),
    ("cache an image", CACHE, (AGGREGATE, ADD_HOST), (NO_HOST, NO_AGGREGATE)),
    ("grant a role", Call("PUT", GRANT), (USER,), (NO_USER,)),
    ("take a role away", Call("DELETE", GRANT), (USER, Call("PUT", GRANT)), (NO_USER,)),
    ("add to a group", Call("PUT", f"{ID}/groups/{{id}}/users/{{user}}"), (PEOPLE,), (NO_PEOPLE,)),
    ("create a credential", CREDENTIAL, (), ()),
    ("delete a credential", Call("DELETE", f"{CREDENTIALS}/{{id}}"), (CREDENTIAL,), ()),
    ("create a catalog entry", SERVICE, (), ()),
    ("delete a catalog entry", Call("DELETE", f"{ID}/services/{{id}}"), (SERVICE,), ()),
    ("repair the database", _repair(part="database"), (), ()),
    ("repair a host", _repair(part="host", host="{host}"), (), ()),
)
