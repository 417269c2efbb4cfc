# SPDX-License-Identifier: Apache-2.0
"""A hypervisor without virtual machines, and its drivers.  `fake.FakeDriver` is the short name of the driver whose
machine is in memory, `fake.DurableFakeDriver` of the one whose machine is in the state directory."""

from kilonova.virt.fake.driver import FakeDriver
from kilonova.virt.fake.durable import DurableFakeDriver
from kilonova.virt.fake.machine import FakeHypervisor

__all__ = ["DurableFakeDriver", "FakeDriver", "FakeHypervisor"]
