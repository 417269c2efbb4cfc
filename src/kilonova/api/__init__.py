# SPDX-License-Identifier: Apache-2.0
"""HTTP: OpenStack's Compute v2.1, and just enough Identity v3 and Image v2, under one port.

Every request is a declared route (`http.route.Route`); `app` takes it from there: token, microversion, policy, limits,
validation, handler, fault.  Reads go to the database's readers, every write goes to the conductor.
"""
