# SPDX-License-Identifier: Apache-2.0
"""Edits of users and projects: each once, however often it is delivered, and never to the last administrator's end."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.base.errors import Conflict, NotFound
from kilonova.conductor import identity_edits
from kilonova.db.engine import Database
from kilonova.db.readers import assignments as read_assignments
from kilonova.db.readers import identity as read
from kilonova.db.readers import service_catalog
from kilonova.db.readers.purge import Kind
from kilonova.db.schema import revoked_tokens
from kilonova.db.writers import purge
from kilonova.objects.identity import (
    SYSTEM_ID,
    Actor,
    ApplicationCredential,
    Assignment,
    CatalogEntry,
    EntryKind,
    Group,
    Project,
    Role,
    Target,
    User,
)
from kilonova.rpcapi import api_to_conductor_identity as methods
from tests.make import NOW, database, run

ANN = User("u2", "ann", "hash of ann")
HOME = Project("p2", "home")
CREDENTIAL = ApplicationCredential("c1", "u2", "p2", "robot", "", "hash", ("member",), False, None, NOW)


class Desk:
    """Edits by their rows, as they come from the bus."""

    def __init__(self, directory: Path) -> None:
        self.db: Database = database(directory)
        self.edits = {row.name: edit for row, edit in identity_edits.EDITS}

    def edit(self, name: str, request: Any, *, times: int = 2, at_s: float = 0) -> None:
        for _ in range(times):
            run(self.db.write(self.edits[name], request, NOW + timedelta(seconds=at_s)))

    def read(self, fn: Any, *args: Any, **more: Any) -> Any:
        return run(self.db.read(fn, *args, **more))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.edit("create_user", methods.CreateUser(ANN))
    made.edit("create_project", methods.CreateProject(HOME))
    made.edit("assign_role", methods.EditRole(Assignment("u2", "p2", "member")))
    made.edit("create_credential", methods.CreateCredential(CREDENTIAL))
    return made


def test_what_is_delivered_twice_is_done_once(desk: Desk) -> None:
    assert desk.read(read.find_user, name="ann") == ANN
    assert desk.read(read.find_project, name="home") == HOME
    assert desk.read(read.roles_of, "u2", "p2") == ("member",)
    assert desk.read(read.list_credentials, "u2") == [CREDENTIAL]
    crew, keeper = Group("g1", "crew", extra={"a": [1]}), Role("r1", "keeper", "d")
    north = CatalogEntry(EntryKind.REGION, "north", {"description": "", "parent_region_id": None})
    south = CatalogEntry(EntryKind.REGION, "south", {"description": "", "parent_region_id": "north"})
    of_crew = Assignment("g1", "p2", "keeper", Actor.GROUP)
    for name, request in (
        ("create_group", methods.CreateGroup(crew)),
        ("edit_member", methods.EditMember("g1", "u2", there=True)),
        ("create_role", methods.CreateRole(keeper)),
        ("assign_role", methods.EditRole(of_crew)),
        ("assign_role", methods.EditRole(Assignment("u2", SYSTEM_ID, "keeper", target=Target.SYSTEM))),
        ("edit_project_tag", methods.EditTags("p2", "tag", there=True)),
        ("put_catalog_entries", methods.PutEntries((north, south))),
        ("update_user", methods.UpdateUser("u2", extra={"b": 2})),
    ):
        desk.edit(name, request)
    assert desk.read(read_assignments.get_group, "g1") == crew
    assert [user.id for user in desk.read(read_assignments.members_of, "g1")] == ["u2"]
    assert desk.read(read_assignments.made_roles) == [keeper]
    assert desk.read(read.roles_of, "u2", "p2") == ("keeper", "member")
    assert desk.read(read.roles_beyond_projects, "u2", "system") == ("keeper",)
    assert desk.read(read.roles_beyond_projects, "u2", "domain") == ()
    assert desk.read(read.get_project, "p2").tags == ("tag",)
    assert desk.read(service_catalog.list_entries) == [north, south]
    assert desk.read(read.get_user, "u2").extra == {"b": 2}
    for name, request in (
        ("delete_catalog_entry", methods.DeleteEntry(EntryKind.REGION, "north")),
        ("edit_project_tag", methods.EditTags("p2", "tag", there=False)),
        ("delete_role", methods.DeleteRole("r1")),
        ("edit_member", methods.EditMember("g1", "u2", there=False)),
        ("delete_group", methods.DeleteGroup("g1")),
    ):
        desk.edit(name, request)
    assert desk.read(service_catalog.list_entries) == []
    assert desk.read(read_assignments.assigned_roles) == {"admin", "member", "reader"}
    assert desk.read(read_assignments.list_groups) == []
    for name, request in (
        ("remove_role", methods.EditRole(Assignment("u2", "p2", "member"))),
        ("delete_credential", methods.DeleteCredential("c1")),
        ("delete_user", methods.DeleteUser("u2")),
        ("delete_project", methods.DeleteProject("p2")),
    ):
        desk.edit(name, request)
    assert [user.id for user in desk.read(read.list_users)] == ["u1"]
    assert [project.id for project in desk.read(read.list_projects)] == ["p1"]


def test_a_role_has_its_new_name_wherever_it_was_given_and_goes_from_there_with_its_end(desk: Desk) -> None:
    desk.edit("create_role", methods.CreateRole(Role("r1", "keeper")))
    desk.edit("assign_role", methods.EditRole(Assignment("u2", "p2", "keeper")))
    robot = replace(CREDENTIAL, id="c2", name="second", roles=("keeper", "member"))
    desk.edit("create_credential", methods.CreateCredential(robot))

    def held() -> tuple[Any, ...]:
        credential = desk.read(read.find_credential, credential_id="c2")
        assert desk.read(read.list_credentials, "u2")[0] == CREDENTIAL
        return desk.read(read.roles_of, "u2", "p2"), credential.roles

    assert held() == (("keeper", "member"), ("keeper", "member"))
    desk.edit("update_role", methods.UpdateRole(Role("r1", "warden")))
    assert held() == (("member", "warden"), ("member", "warden"))
    desk.edit("delete_role", methods.DeleteRole("r1"))
    assert held() == (("member",), ("member",))


def test_a_name_is_given_once(desk: Desk) -> None:
    for name, request in (
        ("create_user", methods.CreateUser(User("u3", "ann", "x"))),
        ("update_user", methods.UpdateUser("u2", name="admin")),
        ("create_project", methods.CreateProject(Project("p3", "home"))),
        ("update_project", methods.UpdateProject("p2", name="admin")),
    ):
        with pytest.raises(Conflict, match="already"):
            desk.edit(name, request)
    desk.edit("update_user", methods.UpdateUser("u2", name="ann"))


def test_only_a_password_or_a_disabling_ends_tokens(desk: Desk) -> None:
    desk.edit("update_user", methods.UpdateUser("u2", description="x", enabled=True, default_project_id="p2"), at_s=1)
    assert desk.read(read.get_user, "u2") == User("u2", "ann", "hash of ann", "p2", "x")
    desk.edit("update_user", methods.UpdateUser("u2", default_project_id=None), at_s=2)
    assert desk.read(read.get_user, "u2").default_project_id is None
    for at_s, change in ((3, {"password_hash": "new"}), (4, {"enabled": False})):
        desk.edit("update_user", methods.UpdateUser("u2", **change), at_s=at_s)
        assert desk.read(read.get_user, "u2").tokens_from == NOW + timedelta(seconds=at_s)


def test_what_is_gone_is_not_found(desk: Desk) -> None:
    for name, request in (
        ("update_user", methods.UpdateUser("u9")),
        ("update_project", methods.UpdateProject("p9")),
        ("assign_role", methods.EditRole(Assignment("u9", "p2", "member"))),
        ("assign_role", methods.EditRole(Assignment("u2", "p9", "member"))),
    ):
        with pytest.raises(NotFound):
            desk.edit(name, request)


def test_the_last_administrator_is_kept_and_the_refused_edit_leaves_no_trace(desk: Desk) -> None:
    for name, request in (
        ("delete_user", methods.DeleteUser("u1")),
        ("update_user", methods.UpdateUser("u1", enabled=False, description="gone")),
        ("update_project", methods.UpdateProject("p1", enabled=False)),
        ("delete_project", methods.DeleteProject("p1")),
        ("remove_role", methods.EditRole(Assignment("u1", "p1", "admin"))),
    ):
        with pytest.raises(Conflict, match="leave no administrator"):
            desk.edit(name, request)
    admin = desk.read(read.get_user, "u1")
    assert (admin.enabled, admin.description) == (True, "")
    assert desk.read(read.roles_of, "u1", "p1") == ("admin", "member", "reader")
    desk.edit("assign_role", methods.EditRole(Assignment("u2", "p2", "admin")))
    desk.edit("delete_user", methods.DeleteUser("u1"))


def test_revoked_tokens_are_forgotten_when_they_are_over(desk: Desk) -> None:
    over = NOW + timedelta(seconds=60)
    desk.edit("revoke_token", methods.RevokeToken("a1", over))
    desk.edit("revoke_token", methods.RevokeToken("a2", over + timedelta(hours=1)), at_s=59)
    assert run(desk.db.write(purge.purge_expired, over - timedelta(seconds=1))) == {}
    assert _revoked(desk) == {"a1", "a2"}
    assert run(desk.db.write(purge.purge_expired, over)) == {Kind.TOKENS: 1}
    assert _revoked(desk) == {"a2"}


def _revoked(desk: Desk) -> set[str]:
    return desk.read(lambda connection: set(connection.execute(sa.select(revoked_tokens.c.audit_id)).scalars()))


def test_many_things_in_a_project_are_counted_and_some_named() -> None:
    said = identity_edits._listed({"server": [f"s{n}" for n in range(7)], "image": ["one"]})  # pyright: ignore[reportPrivateUsage]
    assert said == "7 servers (s0, s1, s2, s3, s4, ...) and 1 image (one)"
