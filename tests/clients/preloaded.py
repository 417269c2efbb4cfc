# SPDX-License-Identifier: Apache-2.0
"""The `openstack` command with its modules loaded once.  Runs under the client's own Python.

Loading them takes 0.8 s of CPU time, which is 25 times that of a command.  Each line of the input is a command: a JSON
list of its arguments, its environment, and the files for its output and its errors.  It runs in a process forked for
it, which has run nothing before; its exit status is a line of the output.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import sys
from typing import Any

import openstackclient
from openstackclient import shell

NOWHERE = ("--os-auth-url", "http://127.0.0.1:1", "--os-username", "x", "--os-password", "x", "--os-project-name", "x")


def run(arguments: list[str], environment: dict[str, str], out: str, errors: str) -> int:
    """Become the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, descriptor in ((out, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = ["openstack", *arguments]
    try:
        status = shell.main()
    except SystemExit as end:
        status = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


def forked(*command: Any, names: str = "") -> int:
    """The exit status of a command; the names of the modules that it had at its end go to a file."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = run(*command)
            if names:
                with open(names, "w") as file:
                    file.write("\n".join(sys.modules))
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def load(names: str) -> None:
    """Import what any command imports, and the modules of the commands."""
    forked(["server", "list", *NOWHERE], dict(os.environ), os.devnull, os.devnull, names=names)
    with open(names) as file:
        wanted = file.read().split()
    for service in ("common", "compute", "identity", "image", "network"):
        path = f"{openstackclient.__path__[0]}/{service}"
        wanted += [
            module.name
            for module in pkgutil.walk_packages([path], f"openstackclient.{service}.")
            if ".v1" not in module.name and ".v2_0" not in module.name
        ]
    for name in wanted:
        if not name.startswith("__"):
            with contextlib.suppress(ImportError):  # what is no module of a file, but made by another module
                importlib.import_module(name)


if __name__ == "__main__":
    load(sys.argv[1])
    for line in sys.stdin:
        sys.stdout.write(f"{forked(*json.loads(line))}\n")
        sys.stdout.flush()
