# SPDX-License-Identifier: Apache-2.0
"""Authentication: hash and verify passwords, issue and verify tokens.  Pure: this package does not use the database."""
