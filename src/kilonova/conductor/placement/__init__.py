# SPDX-License-Identifier: Apache-2.0
"""Choosing a host for an instance, and what the instance takes on that host: claims and addresses."""
