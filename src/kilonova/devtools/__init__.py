# SPDX-License-Identifier: Apache-2.0
"""Tools for people who work on Kilonova itself."""
