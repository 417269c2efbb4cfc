# SPDX-License-Identifier: Apache-2.0
"""Compute v2.1: a file per resource; `routes` has the table.

Source of fields, codes and microversions: the Compute API reference and Nova's "REST API Version History".
"""
