# SPDX-License-Identifier: Apache-2.0
"""Resources for operators: hypervisors, services, aggregates, zones, quotas, limits, usage."""
