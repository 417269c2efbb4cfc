# SPDX-License-Identifier: Apache-2.0
"""The host: versions, virtualization checks, domain capabilities, foreign domains, and the survey for doctor."""
