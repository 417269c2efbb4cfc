# SPDX-License-Identifier: Apache-2.0
"""Flavors, key pairs, and the image proxy: resources that users choose when they create a server."""
