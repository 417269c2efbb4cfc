# SPDX-License-Identifier: Apache-2.0
"""OpenStack's own integration tests (Tempest) against the one box."""
