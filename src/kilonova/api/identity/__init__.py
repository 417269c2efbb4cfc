# SPDX-License-Identifier: Apache-2.0
"""Identity v3: log in, tokens, users, projects, roles, application credentials.  One domain, called Default."""
