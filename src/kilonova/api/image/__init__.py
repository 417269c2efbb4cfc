# SPDX-License-Identifier: Apache-2.0
"""Image v2, the part that Compute's clients need: records in the database, bytes in the image store.

Source: Image service API v2 reference.
"""
