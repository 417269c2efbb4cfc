# SPDX-License-Identifier: Apache-2.0
"""What operators read and change: hypervisors, services, aggregates, zones, quotas, limits, usage."""
