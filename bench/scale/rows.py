# SPDX-License-Identifier: Apache-2.0
"""Many instances in PostgreSQL: copies of a server that the service made, with its action and everything of it."""

from lab.postgres import PrivatePostgres

BATCH = 10_000
_HOST = "format('h%s', lpad(({n} / {per_host})::text, 5, '0'))"
_GUEST = "md5(format('guest-%s-%s', {n} / {per_host}, {n} % {per_host}))::uuid::text"
_ACTION = "md5(format('action-%s-%s', {n} / {per_host}, {n} % {per_host}))::uuid::text"
_ACTION_OF = "SELECT id FROM actions WHERE instance_id = '{of}'"
_COPY = """\
INSERT INTO {table} SELECT made.* FROM {table} AS one
CROSS JOIN generate_series({first}, {last}) AS n
CROSS JOIN LATERAL jsonb_populate_record(one, jsonb_build_object({values})) AS made
WHERE one.{key} = '{of}'"""
_USED = """\
UPDATE compute_nodes AS node SET
 vcpus_used = found.count * (made.flavor->>'vcpus')::int,
 memory_mib_used = found.count * (made.flavor->>'memory_mib')::int,
 disk_gib_used = found.count * (made.flavor->>'disk_gib')::int,
 instances = found.count
FROM (SELECT host, count(*) AS count FROM instances
  WHERE host IS NOT NULL AND deleted_at IS NULL GROUP BY host) AS found,
 (SELECT flavor FROM instances WHERE id = '{of}') AS made
WHERE node.host = found.host"""
_QUOTA = """\
UPDATE quota_usages SET instances = found.count, cores = found.cores, ram = found.ram
FROM (SELECT project_id, count(*) AS count, sum((flavor->>'vcpus')::int) AS cores,
 sum((flavor->>'memory_mib')::int) AS ram FROM instances WHERE deleted_at IS NULL GROUP BY project_id) AS found
WHERE quota_usages.project_id = found.project_id"""


def copy_instance(postgres: PrivatePostgres, instance_id: str, hosts: range, per_host: int) -> None:
    """Copy an instance of one create `per_host` times onto each simulated host, and count what they use.

    The copies have the ids of hosts_child.guest_id, and are some seconds older, each older than the next.  Raises
    LabError.
    """
    action = postgres.sql(_ACTION_OF.format(of=instance_id))
    for first in range(hosts.start * per_host, hosts.stop * per_host, BATCH):
        last = min(first + BATCH, hosts.stop * per_host) - 1
        for table, key, of, values in _copies(instance_id, action, per_host):
            inserted = ", ".join(f"'{name}', {value}" for name, value in values.items())
            postgres.sql(_COPY.format(table=table, key=key, of=of, first=first, last=last, values=inserted))
    postgres.sql(_USED.format(of=instance_id))
    postgres.sql(_QUOTA)
    postgres.sql("ANALYZE")


def _copies(instance_id: str, action_id: str, per_host: int) -> list[tuple[str, str, str, dict[str, str]]]:
    """For each table: the column and the value that choose the rows to copy, and what differs in a copy."""
    host, guest, action = (text.format(n="n", per_host=per_host) for text in (_HOST, _GUEST, _ACTION))
    name = "'copy-' || n"
    instance = {"id": guest, "name": name, "hostname": name, "host": host, "node": host}
    instance["created_at"] = "one.created_at - (1000000 - n)::bigint * 1000000"
    of_instance = {"id": action, "instance_id": guest, "request_id": "'req-' || n"}
    address = {"host": host, "value": f"one.value + 1 + n % {per_host}", "instance_id": guest}
    of_action = {"action_id": action}
    return [
        ("instances", "id", instance_id, instance),
        ("actions", "instance_id", instance_id, of_instance),
        ("action_events", "action_id", action_id, of_action),
        ("placements", "action_id", action_id, of_action),
        ("addresses", "instance_id", instance_id, address),
    ]
