# SPDX-License-Identifier: Apache-2.0
"""Native calls off the event loop: a pool of threads per kind of call, the gate that hands out their places, and
proxies of native objects.
"""
