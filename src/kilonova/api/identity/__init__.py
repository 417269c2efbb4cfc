# SPDX-License-Identifier: Apache-2.0
"""Just enough Identity v3: log in, look at one's token, the catalog, projects.  One domain, called Default."""
