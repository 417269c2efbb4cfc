# SPDX-License-Identifier: Apache-2.0
"""Faults, made on purpose on private daemons, and what the service does then.  See __main__."""
