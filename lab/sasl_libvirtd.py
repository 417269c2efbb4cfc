# SPDX-License-Identifier: Apache-2.0
"""A private libvirtd that asks for a name and a password (SASL, SCRAM-SHA-256)."""

import os
import shutil
import subprocess
from pathlib import Path

from lab.common import LabError
from lab.libvirtd import PrivateLibvirtd


class SaslLibvirtd(PrivateLibvirtd):
    """As PrivateLibvirtd, for one user.  `auth_file` is libvirt's own format, with the right password in it."""

    def __init__(self, directory: Path | str, *, name: str, password: str) -> None:
        super().__init__(directory)
        self._name, self._password = name, password

    @property
    def auth_file(self) -> Path:
        """The right credentials."""
        return self.write_auth_file("right", self._password)

    @property
    def uri(self) -> str:
        """Connection URI of the QEMU driver with the right credentials; `qemu_uri` has none."""
        return f"{self.qemu_uri}&authfile={self.auth_file}"

    def write_auth_file(self, name: str, password: str) -> Path:
        """An auth file for the daemon's user with a password of your choice."""
        path = self.directory / f"{name}.auth"
        path.write_text(
            f"[credentials-us]\nauthname={self._name}\npassword={password}\n"
            "\n[auth-libvirt-localhost]\ncredentials=us\n"
        )
        path.chmod(0o600)
        return path

    def _prepare(self) -> None:
        super()._prepare()
        uid, gid = self.owner
        config = self.directory / "libvirtd.conf"
        config.write_text(config.read_text().replace('auth_unix_rw = "none"', 'auth_unix_rw = "sasl"'))
        sasl = self.directory / "sasl"
        sasl.mkdir(exist_ok=True)
        users = sasl / "users.db"
        (sasl / "libvirt.conf").write_text(f"mech_list: scram-sha-256\nsasldb_path: {users}\n")
        program = shutil.which("saslpasswd2", path=self._environment()["PATH"])
        if program is None:
            raise LabError("saslpasswd2 is not installed.", "apt-get install sasl2-bin libsasl2-modules")
        argv = [program, "-p", "-f", str(users), "-a", "libvirt", "-c", self._name]
        subprocess.run(argv, input=self._password.encode(), check=True, timeout=30, capture_output=True)
        for path in (sasl, users):
            os.chown(path, uid, gid)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"SASL_CONF_PATH": f"{self.directory}/sasl"}
