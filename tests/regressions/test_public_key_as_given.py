# SPDX-License-Identifier: Apache-2.0
"""A key pair came back without the line feed that its file ends with: Ansible's second run failed, and Terraform wanted
to make the key anew, since both compare what is there with what they gave."""

import pytest

from tests.service.api import Api

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@somewhere"


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", f"{KEY} \r\n"], ids=["plain", "line", "windows"])
async def test_a_public_key_comes_back_to_its_last_character(api: Api, text: str) -> None:
    made = await api.compute("POST", "/os-keypairs", {"keypair": {"name": "k", "public_key": text}})
    assert made.json()["keypair"]["public_key"] == text
    assert (await api.json("/os-keypairs/k"))["keypair"]["public_key"] == text
    assert (await api.json("/os-keypairs"))["keypairs"][0]["keypair"]["public_key"] == text
