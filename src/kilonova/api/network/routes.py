# SPDX-License-Identifier: Apache-2.0
"""The routes of Network v2.0, with the names of Neutron's policies.  All of them only read."""

from kilonova.api import versions
from kilonova.api.http.route import Service
from kilonova.api.network import quotas, resources

SERVICE = Service("/network/v2.0", (versions.NETWORK_ROUTE, *resources.ROUTES, *quotas.ROUTES), network=True)
