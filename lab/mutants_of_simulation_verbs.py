# SPDX-License-Identifier: Apache-2.0
"""Defects of verbs: what their acceptance and their end write, keep and release."""

from collections.abc import Sequence

from lab.mutant import Defect, defect

DELETE = "conductor/verbs/delete.py"
RESIZE = "conductor/verbs/resize.py"
SHELVE = "conductor/verbs/shelve.py"
AFTER_BOOT = "conductor/verbs/start_after_boot.py"

DEFECTS_OF_VERBS: Sequence[Defect] = (
    defect(
        "a create that arrives twice is recorded twice",
        "A create whose first answer was lost has two actions, and the project is charged twice.",
        "conductor/verbs/create.py",
        "    if not write_instances.insert(tx, request.instances[0]):\n        return []\n",
        "    write_instances.insert(tx, request.instances[0])\n",
    ),
    defect(
        "an idempotency key is not kept",
        "A client that repeats its create with the same key gets a second server.",
        "conductor/idempotency.py",
        "    if key is not None:\n        write.keep(tx, key, now)\n",
        "",
    ),
    defect(
        "addresses of deleted servers stay reserved",
        "After some hundred creates and deletes no server gets an address.",
        DELETE,
        "    write_instances.release_addresses(tx, instance.id)\n",
        "",
    ),
    defect(
        "addresses are free before the guest is gone",
        "A server that is deleted while its host is down loses its address at once: another server gets it while the "
        "old guest still uses it.",
        DELETE,
        "    write_migrations.close(tx, instance.id, now)\n",
        "    write_migrations.close(tx, instance.id, now)\n    write_instances.release_addresses(tx, instance.id)\n",
    ),
    defect(
        "a delete that failed is trusted",
        "The server disappears from the list and its resources are free, while its guest runs on.",
        DELETE,
        "    if not ending.succeeded:\n        return {}\n    release_from_host",
        "    release_from_host",
    ),
    defect(
        "the quota of a deleted server",
        "A project that deletes its servers cannot create new ones.",
        DELETE,
        "    quota.give_back(tx, instance.project_id, usage_of(instance))\n",
        "",
    ),
    defect(
        "a reverted resize keeps the new flavor",
        "The server shows the large flavor, and its guest has the small one.",
        RESIZE,
        '{"flavor": ending.instance.old_flavor, **_ENDED}',
        "_ENDED",
    ),
    defect(
        "the claim of a resize is not reduced at its end",
        "A resize to a smaller flavor, or one that was reverted, keeps the larger claim for ever.",
        RESIZE,
        "    if instance.host is not None:\n"
        "        write_hosts.change_claim(tx, instance.host, instance, replace(instance, **columns))\n",
        "",
    ),
    defect(
        "a resize claims nothing when it is accepted",
        "A resize is accepted on a host without room, and the host's claims become smaller than its guests.",
        RESIZE,
        "    _claim(tx, instance, replace(instance, **columns))\n",
        "",
    ),
    defect(
        "a confirmation that failed is trusted",
        "The server stays in VERIFY_RESIZE: it can be neither confirmed nor reverted.",
        RESIZE,
        "    if ending.succeeded:\n        return _release(tx, ending, MigrationStatus.CONFIRMED, _ENDED)\n",
        "    if ending.succeeded or ending.power is not PowerState.NOSTATE:\n"
        "        return _release(tx, ending, MigrationStatus.CONFIRMED, _ENDED)\n",
    ),
    defect(
        "an offload without an image",
        "A shelved server whose image was deleted leaves its host with its only disk, and can never come back.",
        SHELVE,
        "    if instance.shelved_image is None or not images.is_there(tx, instance.shelved_image.id):\n",
        "    if instance.shelved_image is None:\n",
    ),
    defect(
        "the claim of an offloaded server",
        "A host becomes full of servers that have left it.",
        SHELVE,
        "    if instance.host is not None:\n"
        "        write_hosts.release(tx, instance.host, instance)\n"
        '    return {"host": None, "node": None}\n',
        '    return {"host": None, "node": None}\n',
    ),
    defect(
        "an offload that failed is trusted",
        "The server leaves its host in the record, and its guest stays there: after an unshelve there are two.",
        SHELVE,
        "    return _off_host(tx, ending.instance) if ending.succeeded else {}\n",
        "    return _off_host(tx, ending.instance)\n",
    ),
    defect(
        "an unshelve that failed is offloaded again, whatever it left",
        "Parts of the guest stay on a host that the record does not name; the next unshelve runs elsewhere.",
        SHELVE,
        "    if ending.outcome.power is None or ending.cancelled:\n",
        "    if not ending.succeeded:\n",
    ),
    defect(
        "an evacuation that failed leaves its host, whatever it left there",
        "The server can be evacuated again to a third host while a guest of it is on the second one.",
        "conductor/verbs/evacuate.py",
        "    if not is_absent or instance.host is None:\n",
        "    if instance.host is None:\n",
    ),
    defect(
        "the record of an image that was not made",
        "After a snapshot that failed, its image stays in the list as 'saving' for ever.",
        "conductor/verbs/snapshot.py",
        "    if not ending.succeeded:\n        images.forget_unfinished(tx, ending.action, ending.now)\n",
        "",
    ),
    defect(
        "the record of an image whose server is deleted meanwhile",
        "A delete during a snapshot leaves an image that stays 'saving' for ever.",
        "conductor/images.py",
        "        if (unfinished := forget_unfinished(tx, action, now)) is not None:\n"
        "            forgotten.append(unfinished)\n",
        "",
    ),
    defect(
        "a boot during work that the host had is not remembered",
        "The power fails during a snapshot: the snapshot fails, and the guest stays off although it should run.",
        AFTER_BOOT,
        "bookkeeping=replace(action.bookkeeping, open_at_boot=True)",
        "bookkeeping=replace(action.bookkeeping, open_at_boot=not action.leg.ends_by_report)",
    ),
    defect(
        "a start after a boot beside an open action",
        "After a boot a server has two open actions, and a stop in progress is followed by a start.",
        AFTER_BOOT,
        "    found = [one for one in read_instances.to_run_on_host(tx, host, RESUMED) if one.id not in busy]\n",
        "    found = read_instances.to_run_on_host(tx, host, RESUMED)\n",
    ),
)
