# SPDX-License-Identifier: Apache-2.0
"""How a run of Tempest is judged."""

from conformance.left_out import EVERYTHING
from conformance.outcomes import outcomes, text

PREFIX = "tempest.api.compute."
LINES = [
    f"{{1}} {PREFIX}test_versions.TestVersions.test_list_api_versions [0.01s] ... ok",
    f"{{0}} {PREFIX}servers.test_servers.ServersTestJSON.test_show [0.52s] ... FAILED",
    f"{{0}} setUpClass ({PREFIX}admin.test_networks.NetworksTest) [0.0s] ... FAILED",
    f"{{1}} setUpClass ({PREFIX}volumes.test_volumes_get.VolumesGetTestJSON) ... SKIPPED: cinder is not available",
    "some warning of a library",
]


def test_what_is_left_out_is_known_and_the_rest_fails() -> None:
    seen = outcomes(LINES, whole=False)
    assert list(seen.passed) == ["compute.test_versions.TestVersions.test_list_api_versions"]
    assert list(seen.failed) == ["compute.servers.test_servers.ServersTestJSON.test_show"]
    assert list(seen.left_out) == ["compute.admin.test_networks.NetworksTest"]
    assert not seen.good
    assert "FAILED    compute.servers.test_servers.ServersTestJSON.test_show" in text(seen)
    assert text(seen).endswith(
        "1 passed, 1 failed, 1 left out, 1 skipped by Tempest (no Neutron, Cinder or second host here)"
    )


def test_what_fails_no_more_is_stale_in_a_whole_run() -> None:
    passing = LINES[:1]
    assert outcomes(passing, whole=False).good
    whole = outcomes(passing, whole=True)
    assert list(whole.stale) == list(EVERYTHING)
    assert not whole.good


def test_a_run_in_which_nothing_passed_is_no_good_one() -> None:
    assert not outcomes([], whole=False).good
