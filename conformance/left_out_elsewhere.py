# SPDX-License-Identifier: Apache-2.0
"""What Tempest tests of Identity and Image and the one box does not do, with the reason: see left_out."""

from collections.abc import Mapping

_DOMAINS = "makes a domain of its own: there is one here, Default (ADR 0019)"
_CREDENTIALS = "generic and EC2 credentials: there are none, and none can be made (501)"
_METADEFS = "a catalogue of metadata definitions is not kept"

IDENTITY: Mapping[str, str] = {
    "admin.v3.test_default_project_id.": _DOMAINS,
    "admin.v3.test_domain_configuration.": _DOMAINS,
    "admin.v3.test_domains.": _DOMAINS,
    "admin.v3.test_domains_negative.DomainsNegativeTestJSON.test_delete_active_domain": _DOMAINS,
    "admin.v3.test_domains_negative.DomainsNegativeTestJSON.test_domain_create_duplicate": _DOMAINS,
    "admin.v3.test_groups.": _DOMAINS,
    "admin.v3.test_inherits.": _DOMAINS,
    "admin.v3.test_list_projects.ListProjectsTestJSON": _DOMAINS,
    "admin.v3.test_list_users.": _DOMAINS,
    "admin.v3.test_projects.ProjectsTestJSON.test_create_is_domain_project": _DOMAINS,
    "admin.v3.test_projects.ProjectsTestJSON.test_project_create_with_domain": _DOMAINS,
    "admin.v3.test_projects.ProjectsTestJSON.test_project_create_with_parent": _DOMAINS,
    "admin.v3.test_roles.": _DOMAINS,
    "admin.v3.test_tokens.TokensV3TestJSON.test_get_available_domain_scopes": _DOMAINS,
    "admin.v3.test_credentials.": _CREDENTIALS,
    "v3.test_ec2_credentials.": _CREDENTIALS,
    "admin.v3.test_endpoint_groups.": "OS-EP-FILTER: every project sees the whole catalog",
    "admin.v3.test_oauth_consumers.": "OS-OAUTH1: programs have application credentials",
    "admin.v3.test_policies.": "policy blobs: the policy is a file of the operator's, and nobody fetches it",
    "admin.v3.test_projects_negative.ProjectsNegativeStaticTestJSON.test_list_projects_by_unauthorized_user": (
        "who administers nothing sees the projects in which he has a role, and is not refused"
    ),
}
"""By the beginning of a test's name, after `tempest.api.identity.`."""

IMAGE: Mapping[str, str] = {
    "v2.admin.test_image_task.": "tasks and imports: bytes come by PUT, and in no other way",
    "v2.admin.test_images_metadefs_": _METADEFS,
    "v2.test_images_metadefs_schema.": _METADEFS,
}
"""By the beginning of a test's name, after `tempest.api.image.`."""
