# SPDX-License-Identifier: Apache-2.0
"""Just enough Image v2: records in the database, bytes in the store.

Source: Image service API v2 reference.
"""
