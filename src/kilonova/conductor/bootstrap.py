# SPDX-License-Identifier: Apache-2.0
"""The content of a new database: a project, an administrator, flavors."""

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.conductor import image_quota
from kilonova.db.readers import identity as read_identity
from kilonova.db.transaction import Transaction
from kilonova.db.writers import flavors as write_flavors
from kilonova.db.writers import identity as write_identity
from kilonova.db.writers import quotas as write_quotas
from kilonova.objects.flavor import Flavor
from kilonova.objects.identity import Assignment, Project, User
from kilonova.objects.ids import FlavorId
from kilonova.objects.quota import UNLIMITED

ROLES = ("admin", "member", "reader")

FLAVORS = (
    ("1", "m1.nano", 1, 128, 1),
    ("2", "m1.tiny", 1, 512, 1),
    ("3", "m1.small", 1, 2048, 20),
    ("4", "m1.medium", 2, 4096, 40),
    ("5", "m1.large", 4, 8192, 80),
)
"""id, name, vCPUs, MiB, GiB: the names that OpenStack tutorials use."""

OWNERS_QUOTA: Mapping[str, int] = dict.fromkeys(
    ("instances", "cores", "ram", image_quota.COUNT, image_quota.SIZE_MIB), UNLIMITED
)
"""The first project belongs to the owner of the machine and may use the whole machine.  Other projects have the default
limits."""


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """The first administrator of a new installation.  The ids are new; the hash is argon2's."""

    user_id: str
    project_id: str
    password_hash: str


def is_new(tx: Transaction) -> bool:
    """Whether the database has no user yet."""
    return not read_identity.any_user(tx)


def record_first_admin(tx: Transaction, admin: FirstAdmin) -> bool:
    """Create the first project, user and flavors.  Returns False, and changes nothing, if there is a user already."""
    if not is_new(tx):
        return False
    write_identity.insert_project(tx, Project(admin.project_id, "admin"))
    write_quotas.set_limits(tx, admin.project_id, OWNERS_QUOTA)
    write_identity.insert_user(tx, User(admin.user_id, "admin", admin.password_hash, admin.project_id))
    for role in ROLES:
        write_identity.assign_role(tx, Assignment(admin.user_id, admin.project_id, role))
    for flavor_id, name, vcpus, memory_mib, disk_gib in FLAVORS:
        write_flavors.create_flavor(tx, Flavor(FlavorId(flavor_id), name, vcpus, memory_mib, disk_gib))
    return True
