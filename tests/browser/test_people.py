# SPDX-License-Identifier: Apache-2.0
"""Projects, users, roles, notifications and the own account on the page: an administrator's day with people."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]

HOSTILE = "<img src=x onerror=document.title=1>"
FIRST, SECOND = "first secret", "second secret"


@dataclass(frozen=True)
class Member:
    """A user with the role "member" in a project of their own."""

    name: str
    project: str


@pytest.fixture
def ann(world: World) -> Member:
    made = Member(world.name("ann"), world.name("team"))
    world.member(world.project(made.project), made.name, FIRST)
    return made


def dialog(person: Person) -> Locator:
    return person.page.get_by_role("dialog")


def field(person: Person, label: str) -> Locator:
    """A field of the dialog; the label of one that may be empty says so."""
    return dialog(person).get_by_label(re.compile(rf"^{label}( optional)?$"))


def fill(person: Person, **fields: str) -> None:
    """Fill fields of the dialog by their labels; `_` is a space."""
    for label, text in fields.items():
        field(person, label.replace("_", " ")).fill(text)


def shown_command(person: Person) -> Locator:
    return dialog(person).get_by_label("The same as a command")


def must_log_in(person: Person) -> Locator:
    """The login over the page, because its session has ended."""
    over = person.page.get_by_role("dialog", name="Log in")
    expect(over).to_be_visible()
    return over


def log_in_again(person: Person, password: str) -> None:
    must_log_in(person).get_by_label("Password").fill(password)
    dialog(person).get_by_role("button", name="Log in", exact=True).click()


def test_a_project_is_made_a_user_works_in_it_and_a_disabled_user_loses_the_session(
    admin: Person, visit: Visit, world: World
) -> None:
    project, name = world.name("team"), world.name("ann")
    make_project(admin, project)
    make_user(admin, name, project)
    ann = visit(name, FIRST)
    ann.log_in()
    sees_only_their_own(ann, project)
    admin.row(name).get_by_role("link").click()
    admin.button("Set password").click()
    fill(admin, New_password=SECOND, New_password_again=SECOND)
    admin.confirm("Save")
    log_in_again(ann, SECOND)
    expect(dialog(ann)).to_have_count(0)
    admin.button("Disable").click()
    expect(shown_command(admin)).to_contain_text(f"openstack user set --disable {name}")
    admin.confirm("Disable")
    expect(admin.page.get_by_text("Disabled", exact=True)).to_be_visible()
    log_in_again(ann, SECOND)
    expect(dialog(ann).get_by_role("alert")).to_contain_text("requires authentication")
    admin.button("Enable").click()
    expect(admin.page.get_by_text("Enabled", exact=True)).to_be_visible()
    ann.confirm("Log in")
    expect(dialog(ann)).to_have_count(0)
    admin.button("Delete").click()
    admin.confirm("Delete")
    expect(admin.heading("Users")).to_be_visible()
    expect(admin.row("admin")).to_be_visible()
    expect(admin.row(name)).to_have_count(0)
    must_log_in(ann)


def make_project(admin: Person, name: str) -> None:
    admin.open("/projects")
    admin.button("Create project").click()
    fill(admin, Name="admin", Description=HOSTILE)
    admin.confirm("Create")
    expect(dialog(admin).get_by_text("There is a project called admin already.")).to_be_visible()
    expect(field(admin, "Name")).to_have_attribute("aria-invalid", "true")
    fill(admin, Name=name)
    expect(shown_command(admin)).to_contain_text(f"openstack project create --description '{HOSTILE}' {name}")
    admin.confirm("Create")
    expect(admin.row(name)).to_contain_text(HOSTILE)
    admin.do("admin", "Delete")
    admin.confirm("Delete")
    expect(dialog(admin).get_by_role("alert")).to_contain_text("The project still has")
    admin.confirm("Cancel")


def make_user(admin: Person, name: str, project: str) -> None:
    admin.open("/users")
    admin.button("Create user").click()
    fill(admin, Name=name, New_password=FIRST, New_password_again=SECOND)
    field(admin, "Default project").select_option(label=project)
    expect(field(admin, "Role in the default project")).to_have_value("member")
    admin.confirm("Create")
    expect(dialog(admin).get_by_text("The two passwords differ.")).to_be_visible()
    fill(admin, New_password_again=FIRST)
    expect(shown_command(admin).first).to_contain_text(f"user create --password-prompt --project {project} {name}")
    admin.confirm("Create")
    expect(admin.row(name)).to_contain_text(project)


def sees_only_their_own(member: Person, project: str) -> None:
    expect(member.page.get_by_text("No servers yet")).to_be_visible()
    expect(member.page.get_by_role("button", name=f"Project {project}")).to_be_visible()
    expect(member.page.get_by_role("heading", name="Administration")).to_have_count(0)
    for path in ("/users", "/projects/default", "/roles/assignments", "/notifications/1"):
        member.open(path)
        expect(member.heading("This page is for administrators")).to_be_visible()
        expect(member.page.get_by_text("You are logged in without the role admin.")).to_be_visible()


def test_roles_are_made_assigned_listed_and_withdrawn(admin: Person, world: World, ann: Member) -> None:
    role = world.name("auditor")
    admin.open("/roles")
    expect(admin.row("reader")).to_contain_text("changes nothing")
    admin.button("Create role").click()
    fill(admin, Name="member")
    admin.confirm("Create")
    expect(dialog(admin).get_by_text("There is a role called member already.")).to_be_visible()
    fill(admin, Name=role, Description=HOSTILE)
    admin.confirm("Create")
    expect(admin.row(role)).to_contain_text(HOSTILE)
    admin.row("reader").get_by_role("link").click()
    permissions = admin.page.get_by_role("table", name="What the role permits")
    admin.page.get_by_role("searchbox", name="Rule, check").fill("servers:create")
    expect(admin.page.get_by_text("No rule fits.")).to_be_visible()
    admin.button("Show all rules").click()
    expect(permissions.get_by_text("os_compute_api:servers:create", exact=True)).to_be_visible()
    admin.open("/projects")
    admin.row(ann.project).get_by_role("link").click()
    roles = admin.page.get_by_role("table", name="Roles in the project")
    expect(roles.get_by_role("row").filter(has_text=ann.name)).to_contain_text("member")
    admin.button("Add role").click()
    field(admin, "User").select_option(label=ann.name)
    field(admin, "Role").select_option(label=role)
    words = f"openstack role add --user {ann.name} --project {ann.project} {role}"
    expect(shown_command(admin)).to_contain_text(words)
    admin.confirm("Add role")
    expect(roles.get_by_role("row").filter(has_text=ann.name)).to_have_count(2)
    roles.get_by_role("link", name=ann.name).first.click()
    expect(admin.page.get_by_role("table", name="Roles of the user")).to_contain_text(role)
    admin.open(f"/roles/assignments?role={role}")
    expect(admin.page.get_by_role("row")).to_have_count(2)
    admin.button(f"Remove {role} of {ann.name}: {ann.project}").click()
    admin.confirm("Remove")
    expect(admin.page.get_by_text("Nothing fits")).to_be_visible()
    admin.open("/roles")
    admin.do(role, "Delete")
    admin.confirm("Delete")
    expect(admin.row(role)).to_have_count(0)


def test_a_user_changes_the_password_and_the_page_stays_logged_in(visit: Visit, ann: Member) -> None:
    person = visit(ann.name, FIRST)
    person.log_in()
    person.button(f"User {ann.name}").click()
    person.page.get_by_role("menuitem", name="Your account").click()
    person.button("Change password").click()
    fill(person, Present_password="wrong", New_password=SECOND, New_password_again=SECOND)
    dialog(person).get_by_role("button", name="Save").click()
    expect(dialog(person).get_by_text("The original password is wrong.")).to_be_visible()
    expect(field(person, "Present password")).to_be_focused()
    fill(person, Present_password=FIRST)
    person.confirm("Save")
    expect(person.message("Your password is changed")).to_be_visible()
    person.page.reload()
    expect(person.heading("Your account")).to_be_visible()
    other = visit(ann.name, SECOND)
    other.log_in()


def test_an_application_credential_is_made_used_and_deleted(visit: Visit, ann: Member) -> None:
    person = visit(ann.name, FIRST)
    person.log_in()
    person.open("/account")
    expect(person.page.get_by_text("No application credentials.")).to_be_visible()
    person.button("Create application credential").click()
    fill(person, Name=HOSTILE, Expires="2020-01-01T00:00")
    field(person, "member").uncheck()
    expect(shown_command(person)).to_contain_text("credential create --role reader --expiration 20")
    person.confirm("Create")
    expect(dialog(person).get_by_text("expires_at is in the past.")).to_be_visible()
    expect(field(person, "Expires")).to_have_attribute("aria-invalid", "true")
    fill(person, Expires="2120-01-01T00:00")
    person.confirm("Create")
    expect(dialog(person)).to_contain_text("The secret is shown now and never again")
    identifier, secret = (dialog(person).get_by_role("group", name=name).inner_text() for name in ("ID", "Secret"))
    expect(dialog(person).get_by_role("group", name="clouds.yaml")).to_contain_text(secret.strip())
    assert person.violations() == []
    person.confirm("I have the secret")
    assert secret.strip() not in person.page.content()
    table = person.page.get_by_role("table", name="Application credentials")
    expect(table).to_contain_text("2120")
    robot = visit()
    robot.open("/")
    robot.button("Use an application credential").click()
    robot.field("ID of the application credential").fill(identifier.strip())
    robot.field("Secret").fill(secret.strip())
    robot.button("Log in").click()
    expect(robot.page.get_by_role("button", name=f"Project {ann.project}")).to_be_visible()
    robot.open("/account")
    expect(robot.page.get_by_text("reader", exact=True).first).to_be_visible()
    person.button(f"Delete {HOSTILE}").click()
    person.confirm("Delete")
    expect(person.page.get_by_text("No application credentials.")).to_be_visible()
    must_log_in(robot)


def test_a_user_in_a_group_has_its_roles_until_the_user_leaves(
    admin: Person, visit: Visit, world: World, ann: Member
) -> None:
    shared, name = world.name("shared"), world.name("group")
    world.project(shared)
    make_group(admin, name)
    admin.row(name).get_by_role("link").click()
    admin.button("Add user").click()
    field(admin, "User").select_option(label=ann.name)
    expect(shown_command(admin)).to_contain_text(f"openstack group add user {name} {ann.name}")
    admin.confirm("Add user")
    expect(admin.page.get_by_role("table", name="Users in the group")).to_contain_text(ann.name)
    admin.button("Add role").click()
    field(admin, "Role").select_option(label="member")
    field(admin, "Where").select_option(label=shared)
    expect(shown_command(admin)).to_contain_text(f"openstack role add --group {name} --project {shared} member")
    admin.confirm("Add role")
    expect(admin.page.get_by_role("table", name="Roles of the group")).to_contain_text(shared)
    person = visit(ann.name, FIRST)
    person.log_in(shared)
    admin.link(ann.name).click()
    roles = admin.page.get_by_role("table", name="Roles of the user")
    roles.get_by_role("link", name=f"group {name}").click()
    admin.button(f"Remove {ann.name} from the group").click()
    admin.confirm("Remove")
    expect(admin.page.get_by_text("No user is in the group.")).to_be_visible()
    must_log_in(person)
    admin.button("Delete").click()
    admin.confirm("Delete")
    expect(admin.heading("User groups")).to_be_visible()
    expect(admin.row(name)).to_have_count(0)


def make_group(admin: Person, name: str) -> None:
    taken = f"{name}-taken"
    admin.open("/usergroups")
    for each in (taken, name):
        admin.button("Create user group").first.click()
        fill(admin, Name=taken, Description=HOSTILE)
        if each == name:
            admin.confirm("Create")
            expect(field(admin, "Name")).to_have_attribute("aria-invalid", "true")
            fill(admin, Name=name)
        expect(shown_command(admin)).to_contain_text(f"openstack group create --description '{HOSTILE}' {each}")
        admin.confirm("Create")
        expect(admin.row(each)).to_contain_text(HOSTILE)
    admin.do(taken, "Edit")
    fill(admin, Name=f"{taken}2")
    admin.confirm("Save")
    admin.do(f"{taken}2", "Delete")
    admin.confirm("Delete")
    expect(admin.row(f"{taken}2")).to_have_count(0)


def test_notifications_come_by_themselves_and_lead_to_their_server(admin: Person, world: World, ann: Member) -> None:
    admin.open("/notifications")
    expect(admin.heading("Notifications")).to_be_visible()
    server_id = world.server(name := world.name("noted"))
    ended = admin.page.get_by_role("row").filter(has_text="instance.create.end").filter(has_text=server_id)
    expect(ended).to_be_visible()
    expect(admin.page.get_by_text("Delivered up to number")).to_be_visible()
    world.server(world.name("other"))
    ended.get_by_role("link", name="instance.create.end").click()
    expect(admin.page.get_by_text(f'"uuid": "{server_id}"')).to_be_visible()
    admin.link("All notifications of the server").click()
    expect(admin.page.get_by_role("row")).to_have_count(3)
    world.box.act(server_id, {"lock": {"locked_reason": HOSTILE}})
    expect(admin.page.get_by_role("row")).to_have_count(4)
    admin.page.get_by_role("button", name="instance.lock").click()
    admin.page.get_by_role("table").get_by_role("link", name=server_id).first.click()
    expect(admin.heading(name)).to_be_visible()
    admin.open("/notifications/999999999")
    expect(admin.heading("There is no such notification")).to_be_visible()


def test_the_servers_of_a_project_are_one_click_away(admin: Person, world: World, ann: Member) -> None:
    world.server(name := world.name("mine"))
    admin.open("/projects")
    admin.row("admin").get_by_role("link").click()
    use = admin.page.get_by_role("region", name="In use")
    expect(use.get_by_text("no limit").first).to_be_visible()
    use.get_by_role("link", name="Servers").click()
    expect(admin.row(name)).to_be_visible()
    admin.open("/projects")
    admin.do(ann.project, "Servers")
    expect(admin.page.get_by_text("No server fits")).to_be_visible()
    admin.page.get_by_role("button", name=f"Project {ann.project} ×").click()
    expect(admin.row(name)).to_be_visible()


def test_pages_of_people_are_right_for_screen_readers_and_narrow_windows(visit: Visit, world: World) -> None:
    person = visit()
    person.log_in()
    world.server(world.name("axe"))
    tag = world.name("x")
    project_id = world.project(f"{HOSTILE}{tag}")
    world.member(project_id, f"{HOSTILE}{tag}", FIRST)
    user_id = world.box.http.get("/identity/v3/users", params={"name": f"{HOSTILE}{tag}"}).json()["users"][0]["id"]
    role_id = world.box.http.get("/identity/v3/roles", params={"name": "member"}).json()["roles"][0]["id"]
    group_id = world.post("/identity/v3/groups", {"group": {"name": f"{HOSTILE}{tag}"}})["group"]["id"]
    assert world.box.http.put(f"/identity/v3/groups/{group_id}/users/{user_id}").status_code == 204
    newest = world.box.http.get("/ui/api/notifications", params={"limit": 1}).json()["notifications"][0]["number"]
    pages = {
        "/projects": "Projects",
        f"/projects/{project_id}": f"{HOSTILE}{tag}",
        "/users": "Users",
        f"/users/{user_id}": f"{HOSTILE}{tag}",
        "/usergroups": "User groups",
        f"/usergroups/{group_id}": f"{HOSTILE}{tag}",
        "/roles": "Roles",
        "/roles/assignments": "Role assignments",
        f"/roles/{role_id}": "member",
        "/notifications": "Notifications",
        f"/notifications/{newest}": "",
        "/account": "Your account",
    }
    person.look_at(pages)
