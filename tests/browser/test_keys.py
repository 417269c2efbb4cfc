# SPDX-License-Identifier: Apache-2.0
"""Key pairs on the page: the private key stays with its user."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from playwright.sync_api import Locator, Request, expect

from tests.browser.people import Person, World


@pytest.fixture
def at_keys(admin: Person) -> Person:
    admin.open("/keypairs")
    expect(admin.heading("Key pairs")).to_be_visible()
    return admin


def public_of(private: Path) -> str:
    """The public key that belongs to the private key in a file that ssh-keygen can read."""
    private.chmod(0o600)
    done = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    public = load_ssh_private_key(private.read_bytes(), None).public_key()
    text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert done.stdout.split()[:2] == text.split()
    return text


def stored(world: World, name: str) -> str:
    found = world.box.http.get(f"/compute/v2.1/os-keypairs/{name}").json()["keypair"]["public_key"]
    return " ".join(str(found).split()[:2])


def generate(person: Person, name: str, path: Path) -> Locator:
    """Generate a pair and save its file.  The dialog of the private key stays open."""
    person.button("Generate a key pair").first.click()
    person.page.get_by_role("dialog").get_by_label("Name", exact=True).fill(name)
    with person.page.expect_download() as download:
        person.confirm("Generate")
    download.value.save_as(path)
    assert download.value.suggested_filename == f"{name}.pem"
    return person.page.get_by_role("dialog", name=f"Key pair {name}")


def test_a_generated_private_key_is_saved_and_never_sent(at_keys: Person, world: World, tmp_path: Path) -> None:
    name, sent = world.name("key"), list[Request]()
    at_keys.page.on("request", lambda request: sent.append(request))
    dialog = generate(at_keys, name, tmp_path / "key")
    assert public_of(tmp_path / "key") == stored(world, name)
    (body,) = [request.post_data_json["keypair"] for request in sent if request.method == "POST"]
    assert body.keys() == {"name", "public_key"}
    assert " ".join(body["public_key"].split()[:2]) == stored(world, name)
    assert at_keys.violations() == []
    with at_keys.page.expect_download() as again:
        dialog.get_by_role("button", name="Save it again").click()
    assert again.value.path().read_text() == (tmp_path / "key").read_text()
    dialog.get_by_role("button", name="I have the file").click()
    expect(at_keys.row(name)).to_contain_text("ed25519")
    expect(at_keys.page.get_by_text("PRIVATE KEY")).to_have_count(0)


def test_without_webcrypto_the_service_generates_and_the_page_says_so(
    admin: Person, world: World, tmp_path: Path
) -> None:
    admin.context.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined})")
    admin.open("/keypairs")
    admin.button("Generate a key pair").first.click()
    expect(admin.page.get_by_role("dialog")).to_contain_text("the private key crosses the network once")
    admin.page.keyboard.press("Escape")
    generate(admin, name := world.name("served"), tmp_path / "key")
    assert public_of(tmp_path / "key") == stored(world, name)


def test_a_public_key_is_imported_and_a_private_one_is_refused_before_it_is_sent(
    at_keys: Person, world: World, tmp_path: Path
) -> None:
    key, name = tmp_path / "id", world.name("mine")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=20)
    at_keys.button("Import a public key").first.click()
    dialog = at_keys.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    sent: list[str] = []
    at_keys.page.on("request", lambda request: sent.append(request.url))
    for text, sentence in ((key.read_text(), "This is a private key"), ("ssh-ed25519 AAAA", "not a public key of")):
        dialog.get_by_label("Public key").fill(text)
        at_keys.confirm("Import")
        expect(dialog.get_by_role("alert")).to_contain_text(sentence)
    assert not any("keypairs" in each for each in sent)
    assert at_keys.violations() == []
    dialog.get_by_label("Take from a file").set_input_files(f"{key}.pub")
    expect(dialog.get_by_label("Public key")).to_have_value(Path(f"{key}.pub").read_text())
    at_keys.confirm("Import")
    at_keys.row(name).get_by_role("link").click()
    expect(at_keys.heading(name)).to_be_visible()
    expect(at_keys.page.get_by_text(Path(f"{key}.pub").read_text().strip())).to_be_visible()
    at_keys.link("Create server").click()
    expect(at_keys.field("Key pair")).to_have_value(name)


def test_a_name_that_the_api_refuses_is_refused_at_its_field_and_keys_are_deleted(
    at_keys: Person, world: World
) -> None:
    names = [world.name("old") for _ in range(2)]
    for name in names:
        world.post("/compute/v2.1/os-keypairs", {"keypair": {"name": name}})
    at_keys.button("Generate a key pair").first.click()
    dialog = at_keys.page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("<b>")
    at_keys.confirm("Generate")
    expect(dialog.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    at_keys.page.keyboard.press("Escape")
    at_keys.open("/keypairs?q=old")
    for name in names:
        expect(at_keys.row(name)).to_be_visible()
    at_keys.page.get_by_label("Choose all").check()
    at_keys.page.get_by_role("group", name="Chosen key pairs").get_by_role("button", name="Delete").click()
    expect(at_keys.page.get_by_role("dialog")).to_contain_text("who has the private key still logs in")
    at_keys.confirm("Delete")
    for name in names:
        expect(at_keys.row(name)).to_have_count(0)
