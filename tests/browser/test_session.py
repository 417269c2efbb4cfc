# SPDX-License-Identifier: Apache-2.0
"""Logging in, staying in, leaving."""

from collections.abc import Callable

import httpx
from playwright.sync_api import Route, expect

from tests.browser.people import Person, World

Visit = Callable[..., Person]


def test_a_wrong_password_is_refused_in_the_words_of_the_api_and_what_was_typed_stays(visit: Visit) -> None:
    person = visit()
    person.open("/")
    person.type_login("wrong")
    expect(person.page.get_by_role("alert")).to_contain_text("requires authentication")
    expect(person.field("User")).to_have_value("admin")
    person.type_login(person.password)
    expect(person.heading("Servers")).to_be_visible()


def test_a_reload_keeps_the_login_and_a_logout_ends_it(admin: Person) -> None:
    admin.page.reload()
    expect(admin.heading("Servers")).to_be_visible()
    token = admin.page.evaluate("import('/ui/static/app/api/client.js').then((client) => client.token.value)")
    admin.button("User admin").click()
    admin.page.get_by_role("menuitem", name="Log out").click()
    expect(admin.field("Password")).to_be_visible()
    admin.page.reload()
    expect(admin.field("Password")).to_be_visible()
    assert token == "", "another copy of the module: the token is not global"


def test_the_code_of_a_page_is_requested_while_the_session_reads_its_projects(admin: Person) -> None:
    held: list[Route] = []
    admin.page.route("**/identity/v3/auth/projects", lambda route: held.append(route))
    with admin.page.expect_request("**/views/servers/list.js"):
        admin.page.reload(wait_until="commit")
    while not held:  # the handler of the route runs while the page is waited for
        admin.page.wait_for_timeout(10)
    expect(admin.heading("Servers")).to_have_count(0)
    held[0].continue_()
    expect(admin.heading("Servers")).to_be_visible()


def test_no_token_is_in_the_storage_of_the_browser_nor_in_the_address(admin: Person) -> None:
    kept = admin.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    (cookie,) = admin.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["path"] == "/ui/session"
    assert cookie["value"] not in kept


def test_a_link_is_shared_and_the_login_leads_to_its_page(visit: Visit, world: World) -> None:
    server_id = world.server(name := world.name("shared"))
    person = visit()
    person.open(f"/servers/{server_id}/actions")
    person.type_login(person.password)
    expect(person.heading(name)).to_be_visible()
    expect(person.link("Actions")).to_have_attribute("aria-current", "page")


def test_an_application_credential_logs_in(visit: Visit, world: World) -> None:
    me = world.box.http.get("/identity/v3/auth/tokens", headers=_subject(world)).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": world.name("robot")}}
    made = world.post(f"/identity/v3/users/{me}/application_credentials", body)["application_credential"]
    person = visit()
    person.open("/")
    person.button("Use an application credential").click()
    person.field("ID of the application credential").fill(made["id"])
    person.field("Secret").fill(made["secret"])
    person.button("Log in").click()
    expect(person.heading("Servers")).to_be_visible()


def _subject(world: World) -> dict[str, str]:
    return {"X-Subject-Token": world.box.http.headers["X-Auth-Token"]}


def test_a_session_that_ends_under_an_open_form_asks_for_the_password_and_loses_nothing(
    admin: Person, world: World
) -> None:
    admin.open("/servers/create")
    admin.field("Name").fill("kept-name")
    (cookie,) = admin.context.cookies()
    headers = {"X-Auth-Token": cookie["value"], "X-Subject-Token": cookie["value"]}
    assert httpx.delete(f"{world.address}/identity/v3/auth/tokens", headers=headers).status_code == 204
    over = admin.page.get_by_role("dialog", name="Log in")
    expect(over).to_be_visible()
    over.get_by_label("Password").fill(admin.password)
    over.get_by_role("button", name="Log in", exact=True).click()
    expect(over).to_have_count(0)
    expect(admin.field("Name")).to_have_value("kept-name")
