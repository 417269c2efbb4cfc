# SPDX-License-Identifier: Apache-2.0
"""Interactive consoles: who may open one, the websocket, the way to the guest's host, the input of viewers."""
