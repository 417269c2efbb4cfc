# SPDX-License-Identifier: Apache-2.0
"""What every room may use: errors, context, time, threads, tasks, locks, failpoints, logging, metrics."""
