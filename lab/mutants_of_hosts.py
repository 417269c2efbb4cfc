# SPDX-License-Identifier: Apache-2.0
"""Mutants of "one identity, one process", of "one odd thing stops only itself", and of waiting for a host."""

from collections.abc import Sequence

from lab.mutant import Edit, Mutant, one

TWO = "tests/simulation/test_two_processes.py"
PROCESSES = "tests/unit/conductor/test_processes.py"
OUTAGES = "tests/simulation/test_outages.py"
SAVEPOINTS = "tests/unit/db/test_savepoints.py"

MUTANTS_OF_HOSTS: Sequence[Mutant] = (
    one(
        "a second process is refused",
        f"{TWO}::test_a_copy_is_refused_while_the_first_lives_and_ends_by_itself",
        "conductor/host_endpoint.py",
        "        processes.admit(tx, request, alive)\n",
        "",
    ),
    one(
        "a second process ends by itself",
        f"{TWO}::test_a_copy_is_refused_while_the_first_lives_and_ends_by_itself",
        "compute/session.py",
        "            raise refusal\n",
        "            pass\n",
    ),
    one(
        "a lost host ends its process",
        f"{TWO}::test_an_operator_gives_the_host_to_the_copy_and_the_first_ends_and_keeps_its_guests",
        "compute/session.py",
        "!= self.identity.process_id:\n                    raise\n",
        "!= self.identity.process_id:\n                    pass\n",
    ),
    one(
        "heartbeats are pinned to their sender",
        f"{PROCESSES}::test_a_heartbeat_of_an_older_process_counts_as_no_sign_of_life",
        "conductor/host_endpoint.py",
        "        endpoint.on(methods.HEARTBEAT, pinned(self._heartbeat))\n",
        "        endpoint.on(methods.HEARTBEAT, lambda request, _peer: self._heartbeat(request))\n",
    ),
    one(
        "a clean-up asks first",
        f"{TWO}::test_a_process_that_stood_still_removes_nothing_that_its_successor_has_made",
        "compute/runner.py",
        "        await self._confirm(run)\n",
        "",
    ),
    one(
        "no step without standing",
        f"{TWO}::test_what_is_in_hand_stops_before_its_next_step_when_the_host_is_anothers",
        "compute/manager.py",
        "        queues.revoke_all()\n        lost = await session.contest()\n",
        "        await self._clock.sleep(LOST_S)\n        lost = await session.contest()\n",
    ),
    one(
        "a killed process is followed at once",
        f"{TWO}::test_a_process_that_was_killed_is_followed_at_once_on_the_same_boot",
        "conductor/hosts/processes.py",
        "    if _same_place(known, request):\n",
        "    if not request.host:\n",
    ),
    one(
        "an end in order is told",
        f"{TWO}::test_after_an_end_in_order_nobody_waits",
        "compute/manager.py",
        "        await self._session.leave()\n",
        "",
    ),
    one(
        "late registrations",
        f"{PROCESSES}::test_a_registration_that_comes_after_its_processs_successor_changes_nothing",
        "conductor/hosts/processes.py",
        "if known.started_s is not None and request.started_s < known.started_s:",
        "if known.started_s is None:",
    ),
    one(
        "late heartbeats",
        f"{PROCESSES}::test_a_heartbeat_of_an_older_process_that_was_let_through_late_counts_nothing",
        "conductor/hosts/liveness.py",
        "        if seen is None or epoch > seen.epoch:\n",
        "        if seen is None or epoch != seen.epoch:\n",
    ),
    one(
        "one item of a fetch",
        "tests/unit/rpcapi/test_batch.py",
        "rpcapi/work.py",
        "            except ValidationError as exc:\n                unread.append(_unread(item, reason(exc)))\n",
        "            except ZeroDivisionError:\n",
    ),
    one(
        "one state of a report",
        "tests/unit/rpcapi/test_batch.py",
        "rpcapi/batch.py",
        "    if not isinstance(value, list | tuple):\n",
        "    if value is not None:\n",
    ),
    one(
        "one instance of a host's work",
        f"{SAVEPOINTS}::test_an_instance_that_cannot_be_read_holds_up_no_other_work_of_its_host",
        "db/readers/work.py",
        "        except (NotFound, DatabaseUnreadable) as exc:\n",
        "        except ZeroDivisionError as exc:\n",
    ),
    one(
        "one record of many",
        SAVEPOINTS,
        "db/savepoints.py",
        "            with tx.begin_nested():\n                result = do(item)\n",
        "            result = do(item)\n",
    ),
    one(
        "one action of the watch",
        f"{SAVEPOINTS}::test_an_action_of_a_verb_that_is_not_known_holds_up_neither_the_host_nor_the_watch",
        "db/readers/actions.py",
        "        except DatabaseUnreadable as exc:\n",
        "        except ZeroDivisionError as exc:\n",
    ),
    Mutant(
        "each watch by itself",
        f"{OUTAGES}::test_a_watch_that_fails_in_each_round_keeps_no_other_watch_from_its_rounds",
        (
            Edit("conductor/service.py", '            "liveness": lambda: hosts.look(interval),\n', ""),
            Edit(
                "conductor/service.py",
                '            "watchdog": self._watch,\n',
                '            "watchdog": lambda: _in_turn(self._watch, lambda: hosts.look(interval)),\n',
            ),
            Edit(
                "conductor/service.py",
                "class Conductor:\n",
                "async def _in_turn(*works: Callable[[], Awaitable[None]]) -> None:\n"
                "    for work in works:\n        await work()\n\n\nclass Conductor:\n",
            ),
        ),
    ),
    one(
        "waiting for a host",
        f"{OUTAGES}::test_a_short_outage_of_the_only_hypervisor_fails_no_create",
        "conductor/placement/place.py",
        "    if wait is not None:\n",
        "    if False:\n",
    ),
    one(
        "no wait for what an operator took out",
        "tests/unit/conductor/test_build.py"
        "::test_nobody_waits_for_a_host_that_would_not_do_or_that_an_operator_has_taken_out",
        "conductor/placement/waiting.py",
        "    if service.forced_down or (service.disabled and not service.disabled_by_host):\n",
        "    if service.host is None:\n",
    ),
    one(
        "a bus with credentials",
        "tests/unit/rpc/test_transport_url.py",
        "rpc/transport_url.py",
        "    if beyond and not entry.has_credentials:\n",
        "    if False:\n",
    ),
)
