# SPDX-License-Identifier: Apache-2.0
"""The compute service of one host: it fetches actions, runs them in steps on the driver, and reports what it sees."""
