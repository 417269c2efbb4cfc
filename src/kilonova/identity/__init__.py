# SPDX-License-Identifier: Apache-2.0
"""Who somebody is: hash and verify passwords, mint and verify tokens.  Pure: the database is not known here."""
