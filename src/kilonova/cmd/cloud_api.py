# SPDX-License-Identifier: Apache-2.0
"""An HTTP client of the cloud, for commands: it reads a clouds.yaml, gets a token, and sends and receives JSON."""

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilonova.base.errors import ConfigError, KilonovaError
from kilonova.base.tls import unverified_context

PLACES = (Path("clouds.yaml"), Path("~/.config/openstack/clouds.yaml"), Path("/etc/openstack/clouds.yaml"))
"""The paths where OpenStack clients look for the file, in this order."""
LIMIT_S = 30.0
VERSION = "compute 2.90"


@dataclass(frozen=True, slots=True)
class Cloud:
    """The endpoints of one cloud and a token for them.  `user_id` and `project_id` are those of the token."""

    compute: str
    identity: str
    token: str
    user_id: str
    project_id: str
    tls: ssl.SSLContext

    def call(self, method: str, path: str, body: Any = None, limit_s: float = LIMIT_S) -> Any:
        """Send a request to Compute; returns the reply.  Blocks.  Raises KilonovaError with the service's message."""
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": VERSION}
        return _request(method, self.compute + path, body, headers, self.tls, limit_s)[0]

    def identify(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to Identity; returns the reply.  Blocks.  Raises KilonovaError with the service's message."""
        return _request(method, self.identity + path, body, {"X-Auth-Token": self.token}, self.tls)[0]


def log_in(clouds_file: Path | None, name: str) -> Cloud:
    """Log in with the user and password of the cloud `name`.  Blocks.  Raises ConfigError and KilonovaError."""
    cloud = _cloud_of(_file(clouds_file), name)
    auth, tls = cloud["auth"], _tls_of(cloud)
    try:
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"id": auth.get("user_domain_id", "default")},
        }
        project = {"name": auth["project_name"], "domain": {"id": auth.get("project_domain_id", "default")}}
        url = str(auth["auth_url"]).rstrip("/")
    except KeyError as exc:
        raise ConfigError(f"The cloud {name} has no {exc.args[0]} in its clouds.yaml.") from exc
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": project}}}
    reply, headers = _request("POST", f"{url}/auth/tokens", body, {}, tls)
    token = reply["token"]
    for service in token.get("catalog", ()):
        if service["type"] == "compute":
            compute = service["endpoints"][0]["url"].rstrip("/")
            ids = token["user"]["id"], token["project"]["id"]
            return Cloud(compute, url, headers["X-Subject-Token"], *ids, tls)
    raise ConfigError(f"The catalog of the cloud {name} has no compute service.")


def _file(given: Path | None) -> Path:
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    places = [given] if given is not None else [Path(named)] if named else [*PLACES]
    for place in places:
        if place.expanduser().is_file():
            return place.expanduser()
    if given is not None or named:
        raise ConfigError(f"There is no file {places[0]}.")
    raise ConfigError(
        f"There is no clouds.yaml (looked for {', '.join(map(str, places))}); give one with --clouds-file."
    )


def _cloud_of(path: Path, name: str) -> dict[str, Any]:
    import yaml

    try:
        cloud = yaml.safe_load(path.read_text(encoding="utf-8"))["clouds"][name]
        return {**cloud, "auth": dict(cloud["auth"])}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as exc:
        raise ConfigError(f"{path} has no cloud {name} with an auth section.") from exc


def _tls_of(cloud: dict[str, Any]) -> ssl.SSLContext:
    """The TLS context, by `cacert` and `verify` of the cloud or OS_CACERT of the environment.  Raises ConfigError."""
    if cloud.get("verify") is False:
        return unverified_context()
    trusted = cloud.get("cacert") or os.environ.get("OS_CACERT")
    try:
        return ssl.create_default_context(cafile=None if trusted is None else str(Path(trusted).expanduser()))
    except OSError as exc:  # (ssl.SSLError is one)
        raise ConfigError(f"The certificates of {trusted} cannot be used: {exc.strerror or exc}.") from exc


def _request(
    method: str, url: str, body: Any, headers: dict[str, str], tls: ssl.SSLContext, limit_s: float = LIMIT_S
) -> tuple[Any, Any]:
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url} is not an HTTP URL.")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=limit_s, context=tls) as reply:
            content = reply.read()
            return json.loads(content) if content else None, reply.headers
    except urllib.error.HTTPError as exc:
        raise KilonovaError(_message_of(exc)) from exc
    except (OSError, ValueError) as exc:
        why = getattr(exc, "reason", exc)  # URLError wraps the error of the system
        raise KilonovaError(f"No answer from {url}: {getattr(why, 'strerror', None) or why}.") from exc


def _message_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(next(iter(json.load(error).values()))["message"])
    except (ValueError, TypeError, KeyError, StopIteration):
        return f"The service replied with status {error.code}."
