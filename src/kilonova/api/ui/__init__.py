# SPDX-License-Identifier: Apache-2.0
"""What the web page needs of its server besides the OpenStack APIs: its files, its session, its events."""
