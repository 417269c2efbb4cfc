# SPDX-License-Identifier: Apache-2.0
"""Choosing a host for an instance, and reserving its claims and addresses there."""
