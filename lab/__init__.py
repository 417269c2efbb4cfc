# SPDX-License-Identifier: Apache-2.0
"""What a fresh machine needs: set-up, a guest image, private hypervisor daemons and the demo.

Standard library only: this code runs before anything else is installed.
"""
