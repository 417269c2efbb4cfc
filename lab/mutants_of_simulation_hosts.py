# SPDX-License-Identifier: Apache-2.0
"""Defects in the conductor's view of hosts: their processes, boots, reports and lives."""

from collections.abc import Sequence

from lab.mutant import Defect, Edit, defect

GUESTS = "conductor/hosts/guests.py"
LOST = "conductor/hosts/lost_hosts.py"
FORGOTTEN = "conductor/hosts/forgotten.py"
PROCESSES = "conductor/hosts/processes.py"
REGISTER = "conductor/hosts/register.py"

DEFECTS_OF_HOSTS: Sequence[Defect] = (
    defect(
        "a late report of a guest is recorded",
        "A report that was on its way for a minute shows the guest as it was a minute ago.",
        GUESTS,
        "    if instance.host != host or (read is not None and read.is_before(last)):\n",
        "    if instance.host != host:\n",
    ),
    defect(
        "a report of a guest is recorded in the middle of an action",
        "A server that reboots shows SHUTOFF, and a stop is recorded that nobody requested.",
        GUESTS,
        "    if read_actions.open_of_instance(tx, instance.id):\n        return False\n",
        "",
    ),
    defect(
        "a guest that crashed is meant to be off",
        "A guest whose QEMU died is not started when its host boots, although nobody stopped it.",
        GUESTS,
        "    desired_power = desired(instance.desired_power, power, seen.reason)\n",
        "    settled = power in (PowerState.RUNNING, PowerState.SHUTDOWN)\n"
        "    desired_power = power if settled else instance.desired_power\n",
    ),
    defect(
        "a guest of a server that has another host, or none, is removed",
        "The last copy of a server is deleted when the host that was given up returns.",
        GUESTS,
        "            elsewhere.append(instance.id)\n",
        "            deleted.append(instance)\n",
    ),
    defect(
        "work in progress on a host that is forced down stays open",
        "An operator says that a host will not answer, and its servers wait for it for ever.",
        LOST,
        "            else:\n                end.abandon(tx, action, now)\n",
        "",
    ),
    defect(
        "abandoned work does not continue",
        "An operator takes a host back, and its servers stay in ERROR although their guests run.",
        LOST,
        "        if not end.reopen_abandoned(tx, action, now):\n",
        "        if True:\n",
    ),
    defect(
        "a host that is up can be given up",
        "An operator who takes the wrong name gives up a live host through a conductor that has just started: its "
        "servers are lost.",
        FORGOTTEN,
        "    if known.up or heard:\n",
        "    if heard:\n",
    ),
    defect(
        "no tombstone for the servers of a host that is given up",
        "The host returns, and its guests run without a server; the servers can never be evacuated.",
        FORGOTTEN,
        "    write_tombstones.put(tx, host, instance_id, now)\n",
        "",
    ),
    defect(
        "a second process is admitted while the first one lives",
        "A cloned machine takes the name of a live host: two processes change the same servers.",
        PROCESSES,
        "    if sign is not None:\n"
        "        raise HostTaken(_taken(known, request, sign), host=request.host, heard_s_ago=sign.heard_s_ago)\n",
        "",
    ),
    defect(
        "the same directory on another boot is the same place",
        "A cloned disk is admitted beside the live original, and after a reboot the host itself is refused.",
        PROCESSES,
        "(known.boot_id, known.state_id) == (request.boot_id, request.state_id)",
        "known.state_id == request.state_id",
    ),
    Defect(
        "a new process has the epoch of the old one",
        "The messages of a process that stood still for an hour are accepted beside those of its successor.",
        (
            Edit(
                REGISTER,
                "COMPUTE, now, epoch=known.epoch + 1, **values)\n    return known.epoch + 1\n",
                "COMPUTE, now, **values)\n    return known.epoch\n",
            ),
        ),
    ),
    defect(
        "the boot of a host that was down is not noticed",
        "A host returns after a long power cut, and none of its guests is started.",
        "conductor/hosts/host_boot.py",
        "    rebooted = known is not None and known[2]",
        "    rebooted = known is not None and known.up and known[2]",
    ),
    defect(
        "a conductor that has just started thinks that nobody lives",
        "After a restart of the conductors a cloned machine is admitted at once under the name of a live host.",
        "conductor/hosts/liveness.py",
        "            if self._alone or not process.up:\n"
        "                return None\n"
        "            seen = self._seen[host] = _Seen(process.epoch, since=now if self._looked else None)\n",
        "            return None\n",
    ),
    defect(
        "a host that is dead stays up where there are several conductors",
        "A host that lost its power is up for ever: servers are placed on it, and its deletes wait.",
        "conductor/hosts/host_watch.py",
        "            if others and level.suspected_at is None:\n",
        "            if others:\n",
    ),
)
