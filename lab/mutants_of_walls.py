# SPDX-License-Identifier: Apache-2.0
"""Mechanisms between tenants, taken away: networks, tokens, quotas, what members are told."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

MUTANTS_OF_WALLS: Sequence[Mutant] = (
    one(
        "a lease that ends with its guest",
        "tests/regressions/test_reused_address.py::test_a_lease_that_a_dead_process_left_is_ended_by_the_next_server",
        "virt/libvirt/network/guest_networks.py",
        "        await self._leases.free(instance)\n",
        "",
    ),
    one(
        "projects kept apart, round by the gateway too",
        "tests/live/test_wire.py::test_a_guest_hears_its_own_project_and_the_gateway",
        "virt/libvirt/network/filters.py",
        '    Rule("drop", "in", "ip", {"srcipaddr": "$SUBNET", "srcipmask": "$MASK"}),\n',
        "",
    ),
    one(
        "an edit of roles that forgets what is known of tokens",
        "tests/service/test_api_users.py::test_roles_are_given_checked_listed_and_taken_away",
        "api/identity/token_cache.py",
        "call.deps.token_revalidation.forget()",
        "pass",
    ),
    one(
        "the last administrator",
        "tests/unit/conductor/test_identity_edits.py",
        "conductor/identity_edits.py",
        "if not read.has_administrator(tx):",
        "if False:",
    ),
    one(
        "what a group gives its users",
        "tests/service/test_api_groups_and_roles.py",
        "db/readers/assignments.py",
        "return sa.union(direct, by_group).subquery()",
        "return sa.union(direct, direct).subquery()",
    ),
    one(
        "members of shared images only",
        "tests/service/test_api_image_members.py",
        "db/readers/images.py",
        'return sa.and_(images.c.visibility == "shared", images.c.id.in_(theirs))',
        "return images.c.id.in_(theirs)",
    ),
    one(
        "servers of the own project only",
        "tests/service/test_tenants.py::test_what_is_anothers_is_answered_like_what_is_not_there",
        "api/compute/servers/resource.py",
        "return await call.db.read(instances.get, server_id_of(call), call.scope)",
        "return await call.db.read(instances.get, server_id_of(call), None)",
    ),
    one(
        "the policy of an action",
        "tests/service/test_tenants.py::test_a_reader_changes_nothing_and_a_member_does_nothing_of_an_administrators",
        "api/http/actions.py",
        "    call.permit(route.rule)\n",
        "",
    ),
    one(
        "a queue of log-ins with an end",
        "tests/unit/identity/test_turns.py",
        "identity/turns.py",
        "<= MOST_WAITING:\n            return",
        "<= MOST_WAITING or True:\n            return",
    ),
    one(
        "a token that says from which password it was minted",
        "tests/unit/api/test_token_revalidation.py",
        "api/http/token_revalidation.py",
        "found.tokens_from == claims.tokens_from",
        "True",
    ),
    one(
        "the old password that is still the password when the new one is set",
        "tests/regressions/test_token_of_an_older_read.py",
        "conductor/identity_edits.py",
        "if request.old_hash not in (None, user.password_hash)",
        "if False",
    ),
    one(
        "a console's session that ends with the right to it",
        "tests/service/test_api_consoles.py::test_a_session_and_an_unused_url_end_with_the_right_to_them",
        "api/consoles/access.py",
        'return "The right to use',
        'continue  # "The right to use',
    ),
    one(
        "the quota of images that are on their way in",
        "tests/unit/conductor/test_image_quota.py",
        "conductor/image_quota.py",
        "if taken(image) > taken(before):",
        "if image.size and taken(image) > taken(before):",
    ),
    one(
        "the quota of images in number",
        "tests/unit/conductor/test_image_quota.py",
        "conductor/image_quota.py",
        "if most != UNLIMITED and used.count > most:",
        "if False:",
    ),
    one(
        "room on the disk that images leave",
        "tests/unit/images/test_store.py",
        "images/store.py",
        "if keep and free - more_bytes < keep:",
        "if False:",
    ),
    one(
        "pages that are written before they are free",
        "tests/unit/db/test_reserve.py",
        "db/reserve.py",
        "        await self._db.write(_take_pages)\n",
        "",
    ),
    one(
        "what waits on a full disk",
        "tests/service/test_api_full_disk.py",
        "api/http/disk_space.py",
        "if self._full and method not in",
        "if False and method not in",
    ),
    one(
        "ids of deleted images",
        "tests/unit/conductor/test_image_quota.py",
        "db/writers/images.py",
        "if status in WITH_BYTES:",
        "if False:",
    ),
    one(
        "what members are told of hosts",
        "tests/service/test_api_servers.py::test_no_host_is_told_by_the_server_itself",
        "api/compute/servers/view.py",
        "message = fault.message if viewer.is_admin else",
        "message = fault.message if True else",
    ),
    one(
        "a wrong password's answer that is held back",
        "tests/unit/identity/test_failures.py",
        "identity/failures.py",
        "return 0.0 if beyond <= 0 else",
        "return 0.0 if True else",
    ),
)
