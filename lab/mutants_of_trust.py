# SPDX-License-Identifier: Apache-2.0
"""Mutants of credentials, TLS and limits of the bus."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

TRUST = "tests/live/test_trust.py"
COST = "tests/live/test_bus_cost.py"
GUARD = "tests/unit/rpcapi/test_guard.py"
PERMISSIONS = "tests/unit/rpcapi/test_permissions.py"
AUTHORITY = "tests/unit/rpc/test_authority.py"

MUTANTS_OF_TRUST: Sequence[Mutant] = (
    one(
        "a host's subjects are pinned",
        f"{PERMISSIONS}::test_a_host_speaks_and_hears_for_itself_only",
        "rpcapi/permissions.py",
        "if channel.pinned and role is Role.HOST else subject",
        "if False else subject",
    ),
    one(
        "nothing allowed is nothing",
        f"{AUTHORITY}::test_nothing_allowed_is_not_everything_allowed",
        "rpc/nats_jwt.py",
        'if subjects else {"deny": [">"]}',
        "if subjects else {}",
    ),
    one(
        "the account grows newer",
        f"{AUTHORITY}::test_a_revocation_is_kept_and_its_account_is_newer_each_time",
        "rpc/authority.py",
        "account_iat=max(now, self._record.account_iat + 1)",
        "account_iat=now",
    ),
    one(
        "tls:// never falls back",
        f"{TRUST}::test_a_server_without_tls_receives_no_byte_of_ours",
        "rpc/nats_connection.py",
        '        if self.require_tls and (writer is None or writer.get_extra_info("ssl_object") is None):\n',
        "        if False:\n",
    ),
    one(
        "the CA of the file alone",
        f"{TRUST}::test_a_server_of_another_ca_is_refused",
        "rpc/transport_url.py",
        "ssl.create_default_context(cadata=found.ca if found is not None and found.ca else None)\n",
        "ssl._create_unverified_context()\n",
    ),
    one(
        "a replaced file is noticed",
        f"{TRUST}::test_rotation_loses_no_request",
        "rpc/nats.py",
        "            if connection.live and changed_at not in (None, seen):\n",
        "            if False:\n",
    ),
    one(
        "a reply uses the connection of its request",
        f"{TRUST}::test_rotation_loses_no_request",
        "rpc/nats.py",
        "            back = connection if connection.live else self._live(msg.subject)\n",
        "            back = self._live(msg.subject)\n",
    ),
    one(
        "a reply cannot be forged through a conductor",
        f"{TRUST}::test_a_host_cannot_reach_anothers_inbox_or_subject_through_a_conductor",
        "rpc/nats.py",
        "        key = self._clock.new_secret(KEY_BYTES)\n",
        "        key = str(len(self._replies))\n",
    ),
    one(
        "replies go to inboxes",
        f"{TRUST}::test_a_host_cannot_reach_anothers_inbox_or_subject_through_a_conductor",
        "rpc/nats.py",
        "        if not msg.reply.startswith(INBOXES):",
        "        if not msg.reply:",
    ),
    one(
        "a rate per peer",
        f"{GUARD}::test_a_peer_over_its_rate_is_refused_and_another_is_not",
        "rpcapi/guard.py",
        "        if found.tokens < 1 or ",
        "        if ",
    ),
    one(
        "turns per peer",
        f"{GUARD}::test_a_peer_has_a_bound_of_requests_at_once_and_a_bounded_queue",
        "rpcapi/guard.py",
        "            await self.turns.acquire()\n",
        "            pass\n",
    ),
    one(
        "a request that waits in vain gives its place back",
        f"{GUARD}::test_requests_that_waited_in_vain_do_not_fill_the_queue",
        "rpcapi/guard.py",
        "        except asyncio.CancelledError:\n            self.inside -= 1\n",
        "        except asyncio.CancelledError:\n",
    ),
    one(
        "messages that wait are one record",
        f"{COST}::test_messages_that_are_sent_together_are_one_record",
        "rpc/nats_connection.py",
        '        self.write(b"".join(payload))\n',
        "        super().writelines(payload)\n",
    ),
    one(
        "our transport is the one of the connection",
        f"{COST}::test_messages_that_are_sent_together_are_one_record",
        "rpc/nats_connection.py",
        "        return True  # a client",
        "        return super().__bool__()  # a client",
    ),
    one(
        "a former connection stays until its handlers have replied",
        f"{TRUST}::test_rotation_loses_no_request",
        "rpc/nats.py",
        "                        await asyncio.wait(set(self._handling))\n",
        "                        pass\n",
    ),
    one(
        "a refusal is retried",
        f"{GUARD}::test_a_caller_that_is_refused_tries_again",
        "rpcapi/caller.py",
        "isinstance(exc, RpcTimeout | RpcUnavailable | Overloaded)",
        "isinstance(exc, RpcTimeout | RpcUnavailable)",
    ),
    one(
        "any bytes are survived",
        f"{GUARD}::test_any_bytes_get_an_error_and_no_traceback",
        "rpcapi/endpoint.py",
        "        except ValueError as exc:\n",
        "        except RecursionError as exc:\n",
    ),
    one(
        "a number that is no float is refused",
        f"{GUARD}::test_any_bytes_get_an_error_and_no_traceback",
        "rpc/wire.py",
        "not 0 < timeout_s <= LONGEST_S:",
        "not 0 < timeout_s:",
    ),
    one(
        "records of deleted instances have no secrets",
        "tests/unit/conductor/test_guests_of_others.py",
        "conductor/hosts/guests.py",
        "    without = (without_secrets(one) for one in deleted)\n",
        "    without = deleted\n",
    ),
)
