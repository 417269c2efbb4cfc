# SPDX-License-Identifier: Apache-2.0
"""The domain objects: frozen values that cross rooms.  They do not depend on the database, the bus or a hypervisor."""
