# SPDX-License-Identifier: Apache-2.0
"""What members are told of failures names no host and no capacity."""

import pytest

from kilonova.objects.messages import WITHOUT_REASONS, member_message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("No valid host was found. RamFilter refused h1 (memory: 128 MiB requested, 100 MiB free).", WITHOUT_REASONS),
        ("libvirt on h1 does not answer: x", "libvirt on the host does not answer: x"),
        ("libvirt on h1.example.net is away.", "libvirt on h1.example.net is away."),
        ("Gave up on host h1.", "Gave up on the host."),
        ("Host 'h1' is down", "the host is down"),
        ("h1", "the host"),
        ("h10 and xh1 and h1-a", "h10 and xh1 and h1-a"),
        ("The image was deleted.", "The image was deleted."),
    ],
)
def test_a_member_is_told(text: str, told: str) -> None:
    assert member_message(text, (None, "", "h1")) == told


def test_members_do_not_see_the_hosts_on_which_a_build_was_tried() -> None:
    text = (
        "On host h1: Host h1 has no room. On host h2.example: It is full. No valid host was found. RetryFilter refused "
        "2 hosts, h1 among them (the build failed on it before)."
    )
    assert member_message(text, (None, "h3")) == (
        f"On a host: the host has no room. On a host: It is full. {WITHOUT_REASONS}"
    )
