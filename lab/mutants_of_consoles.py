# SPDX-License-Identifier: Apache-2.0
"""Mutants of consoles: tokens, tickets, the listener of a host, and viewers that may only look."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

HOSTS = "tests/service/test_host_consoles.py"
SCREENS = "tests/service/test_api_screens.py"
DESK = "compute/consoles.py"

MUTANTS_OF_CONSOLES: Sequence[Mutant] = (
    one(
        "a ticket opens once",
        f"{HOSTS}::test_a_ticket_opens_its_console_once",
        DESK,
        "self._kept.pop(key, (None, 0.0))",
        "self._kept.get(key, (None, 0.0))",
    ),
    one(
        "a ticket is for one console",
        f"{HOSTS}::test_a_ticket_opens_its_console_once",
        DESK,
        "if self._tickets.take(hash_of(secret)) != (instance_id, kind):",
        "if self._tickets.take(hash_of(secret)) is None:",
    ),
    one(
        "a ticket has a time limit",
        f"{HOSTS}::test_a_ticket_dies_with_its_minute",
        DESK,
        "return value if until > self._clock.monotonic() else None",
        "return value",
    ),
    one(
        "an API process trusts one certificate",
        f"{HOSTS}::test_a_process_with_another_certificate_is_not_trusted",
        "api/consoles/hosts.py",
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n",
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
        "    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n",
    ),
    one(
        "the listener speaks TLS only",
        f"{HOSTS}::test_a_ticket_is_not_read_without_tls",
        "compute/console_listener.py",
        "            ssl=context,\n            ssl_handshake_timeout=HELLO_S,\n",
        "",
    ),
    one(
        "a session at the host ends with its client",
        f"{HOSTS}::test_a_session_ends_at_both_ends",
        "compute/console_listener.py",
        "    finally:\n        await stream.close()\n",
        "    finally:\n        pass\n",
    ),
    one(
        "the input of a viewer that may only look is dropped",
        f"{SCREENS}::test_the_input_of_a_viewer_that_may_only_look_reaches_nobody",
        "api/consoles/rfb_input.py",
        "if kind in VIEWING or not self._view_only:",
        "if True:",
    ),
    one(
        "a viewer shares the screen",
        "tests/unit/api/test_rfb_input.py::test_a_viewer_that_wants_the_screen_for_itself_shares_it",
        "api/consoles/rfb_input.py",
        "        yield 1\n        self._passed += SHARED\n",
        "        shared = yield 1\n        self._passed += shared\n",
    ),
    one(
        "a token opens the kind of console that it was issued for",
        f"{SCREENS}::test_a_token_opens_one_kind_of_console",
        "api/consoles/access.py",
        "!= (instance.host, instance.id, kind):",
        "!= (instance.host, instance.id, ticket.kind):",
    ),
    one(
        "a page reads why its console was refused",
        f"{SCREENS}::test_a_page_reads_why_its_console_was_refused",
        "api/consoles/websocket.py",
        "    if as_close:\n",
        "    if False:\n",
    ),
)
