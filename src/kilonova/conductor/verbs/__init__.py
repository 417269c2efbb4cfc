# SPDX-License-Identifier: Apache-2.0
"""What each verb does to the record of its instance, when it is accepted and when it ends."""
