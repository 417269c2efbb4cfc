# SPDX-License-Identifier: Apache-2.0
"""The changes that each verb makes to the record of its instance, when it is accepted and when it ends."""
