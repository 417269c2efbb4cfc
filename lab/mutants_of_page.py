# SPDX-License-Identifier: Apache-2.0
"""Mutants of the web page: what a browser would miss."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

APP = "ui/static/app"
BROWSER = "tests/browser"
PEOPLE = f"{BROWSER}/test_people.py"

MUTANTS_OF_PAGE: Sequence[Mutant] = (
    one(
        "a session that ends asks for the password",
        f"{BROWSER}/test_session.py::test_a_session_that_ends_under_an_open_form_asks_for_the_password_and_loses_nothing",
        f"{APP}/state/stream.js",
        "if (reply.status === 401) onUnauthorized.call();",
        "",
    ),
    one(
        "the page reads again what it changed",
        f"{BROWSER}/test_live.py::test_a_page_without_a_stream_shows_its_own_changes",
        f"{APP}/state/events.js",
        'export const announce = (id) => tell({ kind: "server", id });',
        "export const announce = (id) => void id;",
    ),
    one(
        "one stream for the tabs of a browser",
        f"{BROWSER}/test_live.py::test_tabs_share_a_stream_and_the_next_one_continues_it",
        f"{APP}/state/events.js",
        "if (canShare())",
        "if (!canShare())",
    ),
    one(
        "a tab that missed events reads everything again",
        f"{BROWSER}/test_live.py::test_a_tab_that_was_hidden_reads_everything_again",
        f"{APP}/state/events.js",
        "if (missed) tell(",
        "if (missed && !lastId) tell(",
    ),
    one(
        "tabs of different logins share nothing",
        f"{BROWSER}/test_live.py::test_another_login_in_another_tab_shares_nothing",
        f"{APP}/state/events.js",
        "who?.user.id, who?.project?.id, who?.roles.toSorted(), all",
        "all",
    ),
    one(
        "a page that is older than the service",
        f"{BROWSER}/test_live.py::test_a_page_that_is_older_than_the_service_says_so_and_loses_nothing",
        f"{APP}/state/events.js",
        "if (version) served.value = version;",
        "",
    ),
    one(
        "only rows near the window",
        f"{BROWSER}/test_many.py::test_a_thousand_servers_are_scrolled_searched_sorted_and_chosen",
        f"{APP}/parts/table.js",
        "const long = count > ALL_ROWS;",
        "const long = count > ALL_ROWS * 1000;",
    ),
    one(
        "a refusal at its field",
        f"{BROWSER}/test_servers.py::test_a_refusal_is_shown_at_its_field_and_nothing_that_was_typed_is_lost",
        f"{APP}/parts/form.js",
        "return name === undefined ?",
        "return name !== null ?",
    ),
    one(
        "a command that is safe to paste",
        f"{BROWSER}/test_walls.py::test_the_command_that_is_shown_is_safe_to_paste",
        f"{APP}/parts/copy.js",
        """word.replaceAll("'", "'\\\\''")""",
        "word",
    ),
    one(
        "the token of a console leaves the address",
        f"{BROWSER}/test_consoles.py::test_the_url_of_a_remote_console_opens_once_without_a_login",
        f"{APP}/views/console/page.js",
        "if (address) go(place.value.path, { replace: true });",
        "",
    ),
    one(
        "a console that connects again",
        f"{BROWSER}/test_consoles.py::test_a_screen_survives_a_restart_of_the_service_and_keeps_what_was_not_typed",
        f"{APP}/views/console/session.js",
        "!RESTARTED.includes(code)",
        "code >= 0",
    ),
    one(
        "styles of the terminal under the policy",
        f"{BROWSER}/test_consoles.py::test_commands_are_typed_into_the_terminal_and_its_output_stays_there",
        f"{APP}/views/console/terminal.js",
        "const forbid = permitStyles();",
        "const forbid = () => permitStyles;",
    ),
    one(
        "a change behind an older look",
        f"{BROWSER}/test_images.py::test_a_change_is_not_lost_behind_an_older_look_at_the_list",
        f"{APP}/state/collection.js",
        "while (isStale && mine === generation)",
        "while (false)",
    ),
    one(
        "a private key is not imported",
        f"{BROWSER}/test_keys.py::test_a_public_key_is_imported_and_a_private_one_is_refused_before_it_is_sent",
        f"{APP}/views/keypairs/openssh.js",
        'if (/PRIVATE KEY/.test(text)) return "private";',
        "",
    ),
    one(
        "the private half of a key pair",
        f"{BROWSER}/test_keys.py::test_a_generated_private_key_is_saved_and_never_sent",
        f"{APP}/views/keypairs/openssh.js",
        "join(secret, open)",
        "join(secret, secret)",
    ),
    one(
        "files of which no disk can be made",
        f"{BROWSER}/test_images.py::test_a_file_that_is_no_disk_is_not_sent",
        f"{APP}/views/images/file.js",
        "if (kind) return",
        "if (!kind) return",
    ),
    one(
        "rows follow the window",
        f"{BROWSER}/test_many.py::test_a_thousand_servers_are_scrolled_searched_sorted_and_chosen",
        f"{APP}/parts/table.js",
        'addEventListener("scroll", look, { passive: true });',
        "",
    ),
    one(
        "a scheme that a person chose",
        f"{BROWSER}/test_access.py::test_colours_follow_the_system_until_a_person_chooses",
        f"{APP}/style/base.css",
        ':root[data-theme="light"] { color-scheme: light; }',
        "",
    ),
    one(
        "code loads while the session is read",
        f"{BROWSER}/test_session.py::test_the_code_of_a_page_is_requested_while_the_session_reads_its_projects",
        f"{APP}/main.js",
        "effect(() => void (token.value && loadAhead()));",
        "",
    ),
    one(
        "AltGr in the layout of the guest",
        "tests/unit/lab/test_keyboards.py::test_a_guest_reads_what_is_typed_in_its_layout",
        f"{APP}/views/console/typing.js",
        "(from ^ to) & each.level",
        "(from ^ to) & each.level & 1",
    ),
    one(
        "the pace of a paste",
        f"{BROWSER}/test_consoles.py::test_text_is_pasted_whole_in_the_layout_of_the_guest",
        f"{APP}/views/console/typing.js",
        "const MOST_BYTES = 12;",
        "const MOST_BYTES = 1e9;",
    ),
    one(
        "Caps Lock is off as soon as a paste is cancelled",
        f"{BROWSER}/test_consoles.py::test_a_paste_is_cancelled_and_refused_before_its_first_key",
        f"{APP}/views/console/typing.js",
        'signal.addEventListener("abort", back, { once: true });',
        "",
    ),
    one(
        "a link of the guest",
        f"{BROWSER}/test_consoles.py::test_commands_are_typed_into_the_terminal_and_its_output_stays_there",
        f"{APP}/views/console/terminal.js",
        "terminal.parser.registerOscHandler(LINK, () => true);",
        "",
    ),
    one(
        "a download that is cancelled",
        f"{BROWSER}/test_images.py::test_a_download_is_written_as_it_comes_and_an_early_end_leaves_no_part",
        f"{APP}/views/images/downloads.js",
        "if (!stop.signal.aborted) show(",
        "show(",
    ),
    one(
        "a page for administrators says so",
        f"{BROWSER}/test_hosts.py::test_a_member_has_no_link_to_these_pages_and_an_address_says_why",
        f"{APP}/app.js",
        "if (!page.admin || isAdmin.value) return",
        "if (page) return",
    ),
    one(
        "the page logs in with its new password",
        f"{PEOPLE}::test_a_user_changes_the_password_and_the_page_stays_logged_in",
        f"{APP}/views/account/password.js",
        "      await enterAgain(me, password);\n",
        "      void enterAgain;\n",
    ),
    one(
        "a wrong password does not end the session of the page",
        f"{PEOPLE}::test_a_user_changes_the_password_and_the_page_stays_logged_in",
        f"{APP}/api/users.js",
        ", hasPassword: true",
        "",
    ),
    one(
        "notifications come by themselves",
        f"{PEOPLE}::test_notifications_come_by_themselves_and_lead_to_their_server",
        f"{APP}/views/notifications/follow.js",
        "const stop = listen(() => (clearTimeout(timer), (timer = setTimeout(look, TOGETHER_MS))));",
        "const stop = listen(() => clearTimeout(timer));",
    ),
)
