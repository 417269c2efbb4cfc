# SPDX-License-Identifier: Apache-2.0
"""Ids of resources without a record: derived from names, so that every process computes the same id at any time."""

import ipaddress
from uuid import UUID, uuid5

from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Address

_OURS = UUID("6b1f3a1e-5f0c-5d0e-9a54-1f2f9c0d7a10")


def network_id(name: str) -> str:
    """The id of a network, by its name: networks of two hosts with the same name are one network."""
    return str(uuid5(_OURS, f"network/{name}"))


def subnet_id(network: str, cidr: str) -> str:
    """The id of a subnet, by its network's name and its CIDR text."""
    return str(uuid5(_OURS, f"subnet/{network}/{cidr}"))


def port_id(instance_id: InstanceId, index: int) -> str:
    """The id of a guest's NIC, by its position."""
    return str(uuid5(_OURS, f"port/{instance_id}/{index}"))


def security_group_id(project_id: str) -> str:
    """The id of a project's one security group."""
    return str(uuid5(_OURS, f"security-group/{project_id}"))


def security_group_rule_id(project_id: str, direction: str) -> str:
    """The id of one of its rules."""
    return str(uuid5(_OURS, f"security-group-rule/{project_id}/{direction}"))


def service_id(host: HostName, binary: str) -> str:
    """The id of a service without a record, by its position."""
    return str(uuid5(_OURS, f"service/{host}/{binary}"))


def cidr_of(address: Address) -> str:
    """The subnet that contains an address."""
    return str(ipaddress.ip_network(f"{address.address}/{address.prefix}", strict=False))
