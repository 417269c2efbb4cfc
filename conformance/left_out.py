# SPDX-License-Identifier: Apache-2.0
"""What Tempest tests and the one box does not do, with the reason.  One that passes all the same is stale here."""

from collections.abc import Mapping

from conformance.left_out_elsewhere import IDENTITY, IMAGE

LEFT_OUT: Mapping[str, str] = {
    "admin.test_networks.": "os-networks: nova-network's, left the API with 2.36",
    "test_networks.": "os-networks, as above",
    "admin.test_migrations.": "wants a role `manager`, and other hosts",
    "admin.test_server_external_events.": "wants a role `service`: for Neutron and Cinder, which are not here",
    "admin.test_quotas.QuotasAdminTestJSON.test_get_updated_quotas": "quotas of users inside a project",
    "admin.test_quotas.QuotasAdminTestV236.test_get_updated_quotas": "quotas of users inside a project",
    "admin.test_quotas.QuotasAdminTestV257.test_get_updated_quotas": "quotas of users inside a project",
    "servers.test_server_actions.ServerActionsTestOtherA.test_remove_server_all_security_groups": (
        "security groups other than the default are refused, and the default stays"
    ),
}
"""By the beginning of a test's name, after `tempest.api.compute.`."""


EVERYTHING: Mapping[str, str] = {
    **{f"compute.{name}": why for name, why in LEFT_OUT.items()},
    **{f"identity.{name}": why for name, why in IDENTITY.items()},
    **{f"image.{name}": why for name, why in IMAGE.items()},
}
"""By the beginning of a test's name, after `tempest.api.`."""


def reason(test: str) -> str | None:
    """Why a test fails as it is known to; None when it is not."""
    return next((why for name, why in EVERYTHING.items() if test.startswith(name)), None)
