# SPDX-License-Identifier: Apache-2.0
"""The engine of actions: accept a request, hand it out to its host, record how it ends."""
