# SPDX-License-Identifier: Apache-2.0
"""Faults, caused on purpose on private daemons, and the service's reaction to each. See __main__."""
