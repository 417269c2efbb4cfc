# SPDX-License-Identifier: Apache-2.0
"""Mutants of the web page's server side: its session and its events."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

SESSION = "tests/service/test_ui_session.py"
EVENTS = "tests/service/test_ui_events.py"
ACTIONS = "tests/service/test_ui_actions.py"
HOSTS = "tests/service/test_ui_hosts.py"
STREAMS = "tests/service/test_ui_streams.py"
ADMINISTRATION = "tests/service/test_ui_administration.py"

MUTANTS_OF_UI: Sequence[Mutant] = (
    one(
        "a session for the service's own page",
        f"{SESSION}::test_a_page_of_another_origin_neither_uses_nor_begins_a_session",
        "api/ui/session.py",
        "    if foreign:\n",
        "    if False:\n",
    ),
    one(
        "the path of the session's cookie",
        f"{SESSION}::test_the_cookie_goes_to_the_session_only_and_no_script_reads_it",
        "api/ui/session.py",
        "Path={PATH}; HttpOnly;",
        "Path=/; HttpOnly;",
    ),
    one(
        "a token that a log-out revokes",
        f"{SESSION}::test_a_log_out_revokes_the_token_and_forgets_the_cookie",
        "api/ui/session.py",
        "await apply_change(call, methods.REVOKE_TOKEN,",
        "(call, apply_change, methods.REVOKE_TOKEN,",
    ),
    one(
        "events of one's own project",
        f"{EVENTS}::test_no_event_of_another_project_is_seen",
        "api/ui/feed.py",
        "in (None, *one.projects))",
        "in tuple(self._streams))",
    ),
    one(
        "missed events of one's own project",
        f"{EVENTS}::test_no_event_of_another_project_is_seen",
        "api/ui/feed.py",
        "one.number > last and viewer.may_see(one)",
        "one.number > last",
    ),
    one(
        "images of those who may see them",
        f"{EVENTS}::test_events_of_an_image_are_for_those_who_may_see_it",
        "api/ui/feed.py",
        " if each.viewer.may_see(one)]",
        "]",
    ),
    one(
        "an image that a project does not see any more",
        f"{EVENTS}::test_events_of_an_image_are_for_those_who_may_see_it",
        "conductor/image_events.py",
        "_viewers(tx, before) | _viewers(tx, image)",
        "_viewers(tx, image)",
    ),
    one(
        "actions of one's own project",
        f"{ACTIONS}::test_a_project_sees_what_was_requested_of_its_servers_by_anybody",
        "api/ui/actions.py",
        "None if every else call.context.project_id",
        "None",
    ),
    one(
        "a page of actions that begins where the one before ended",
        f"{ACTIONS}::test_pages_go_back_in_time_and_miss_nothing_while_new_actions_come",
        "db/readers/action_lists.py",
        "    if before is not None:",
        "    if False:",
    ),
    one(
        "a placement without hosts for members",
        f"{ACTIONS}::test_a_member_sees_kinds_of_reasons_and_an_administrator_the_hosts",
        "api/ui/why.py",
        'placement["tries"] if whole else None',
        'placement["tries"]',
    ),
    one(
        "a gap in the events",
        f"{EVENTS}::test_a_page_that_missed_more_than_is_kept_reads_everything_again",
        "api/ui/feed.py",
        "if numbered < self._last or not is_next:",
        "if numbered < self._last:",
    ),
    one(
        "a page that returns before the reader reads",
        f"{EVENTS}::test_a_page_that_comes_back_misses_nothing_and_receives_nothing_twice",
        "api/ui/feed.py",
        "        await read\n",
        "        read.cancel()\n",
    ),
    one(
        "a right that ends a stream",
        f"{STREAMS}::test_a_revoked_token_ends_its_stream_and_no_other",
        "api/ui/events.py",
        "call.gone(), _lapse(call, viewer)",
        "call.gone()",
    ),
    one(
        "a client that is gone",
        f"{STREAMS}::test_a_page_that_is_closed_leaves_nothing",
        "api/ui/events.py",
        "call.gone(), _lapse(call, viewer)",
        "_lapse(call, viewer)",
    ),
    one(
        "a page that reads nothing",
        f"{STREAMS}::test_a_page_that_reads_nothing_is_disconnected_and_delays_no_other",
        "api/ui/feed.py",
        "if len(self.unsent) >= WAITING:",
        "if len(self.unsent) < 0:",
    ),
    one(
        "a stop that waits for no page",
        f"{STREAMS}::test_a_server_that_stops_does_not_wait_for_open_pages",
        "api/http/http_protocol.py",
        "not cycle.response_complete and cycle.scope.get(LIVE):",
        "cycle.response_complete and cycle.scope.get(LIVE):",
    ),
    one(
        "a frozen host costs a ping",
        f"{HOSTS}::test_a_frozen_host_costs_a_ping_and_is_a_finding",
        "api/ui/doctor.py",
        "        await rpc.call(PING, Ping(), host)\n",
        "",
    ),
    one(
        "an examination ends",
        f"{HOSTS}::test_checks_that_hang_are_ended_and_reported",
        "wiring/examiner.py",
        "limit_s=EXAMINE_S",
        "limit_s=60",
    ),
    one(
        "notifications are for administrators",
        f"{ADMINISTRATION}::test_only_administrators_see_notifications_and_a_wrong_argument_is_named",
        "api/ui/routes.py",
        "notifications.show, notifications.RULE, DefaultPolicy.ADMIN,",
        "notifications.show, events.RULE, DefaultPolicy.READER,",
    ),
    one(
        "permissions of the role alone",
        f"{ADMINISTRATION}::test_what_a_role_may_do_is_what_the_policy_in_force_permits",
        "api/ui/permissions.py",
        "with_implied((role.name,))",
        "call.context.roles",
    ),
    one(
        "types that only begin alike",
        f"{ADMINISTRATION}::test_notifications_are_found_by_number_type_and_server",
        "db/readers/notifications.py",
        'kind.startswith(f"{wanted.event_type}.", autoescape=True)',
        "kind.startswith(wanted.event_type)",
    ),
    one(
        "what has no number waits, too",
        "tests/unit/conductor/test_outbox.py::test_what_waits_for_delivery_is_counted_with_the_time_of_the_oldest",
        "db/readers/notifications.py",
        "_WAITING = sa.or_(_NUMBER.is_(None), ",
        "_WAITING = sa.or_(",
    ),
)
