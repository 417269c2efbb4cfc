# SPDX-License-Identifier: Apache-2.0
"""`kilonova user`, `project`, `role` and `policy`, against a service that answers over HTTP."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from kilonova.base.tasks import Supervisor
from kilonova.cmd.clouds import clouds_yaml
from kilonova.cmd.common import prepare_state
from kilonova.cmd.listener import bind
from tests.make import run
from tests.service.cloud import log_in, running_cloud


@dataclass
class CommandLine:
    """`kilonova` on a command line, with the administrator's clouds.yaml."""

    clouds: Path
    http: object

    async def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "OS_CLIENT_CONFIG_FILE": str(self.clouds),
            "NO_PROXY": "127.0.0.1",
            "COLUMNS": "60",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kilonova", *words),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        return subprocess.CompletedProcess(words, process.returncode or 0, out.decode(), err.decode())

    async def said(self, *words: str, stdin: str = "") -> str:
        done = await self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def refused(self, *words: str, stdin: str = "") -> str:
        """The one sentence."""
        done = await self.run(*words, stdin=stdin)
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("kilonova: ")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncGenerator[CommandLine]:
    async with running_cloud() as cloud, Supervisor(cloud.clock) as tasks:
        listener = bind("127.0.0.1", 0)
        server = cloud.box.server()
        serving = tasks.spawn("http", server.serve(sockets=[listener]))
        path = tmp_path / "clouds.yaml"
        path.write_text(clouds_yaml(f"http://127.0.0.1:{listener.getsockname()[1]}", cloud.password))
        try:
            yield CommandLine(path, cloud.http)
        finally:
            server.stop()
            await serving
            listener.close()


def test_a_user_who_can_work_is_three_commands_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as d:
            project = json.loads(await d.said("project", "create", "web", "--description", "pages", "--json"))
            assert (project["name"], project["description"], project["enabled"]) == ("web", "pages", True)
            words = ("user", "create", "ann", "--project", "web", "--role", "member")
            said = await d.said(*words, stdin="secret words\n")
            assert "ann" in said
            assert "secret words" not in said
            assert await log_in(d.http, "secret words", "ann", "web")  # pyright: ignore[reportArgumentType]
            await d.said("user", "create", "bob", "--no-password", "--disable")
            await d.said("role", "add", "reader", "--user", "bob", "--project", project["id"])
            rows = json.loads(await d.said("role", "assignment", "list", "--project", "web", "--json"))
            assert rows == [
                {"role": "member", "user": "ann", "project": "web"},
                {"role": "reader", "user": "bob", "project": "web"},
            ]
            table = await d.said("user", "list")  # into a pipe: no id is cut off or broken, however narrow it is
            assert all(word in table for word in ("ann", "bob", "admin", project["id"], "yes", "no", "│"))
            assert [one["name"] for one in json.loads(await d.said("role", "list", "--json"))] == [
                "admin", "member", "reader",
            ]  # fmt: skip

    run(main())


def test_changes_and_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as d:
            await d.said("project", "create", "web")
            await d.said("user", "create", "ann", "--project", "web", "--role", "member", stdin="one\n")
            await d.said("user", "set", "ann", "--password", "--name", "anna", stdin="two\n")
            assert await log_in(d.http, "two", "anna", "web")  # pyright: ignore[reportArgumentType]
            await d.said("user", "set", "anna", "--disable")
            assert json.loads(await d.said("user", "show", "anna", "--json"))["enabled"] is False
            await d.said("project", "set", "web", "--name", "www", "--disable")
            assert json.loads(await d.said("project", "show", "www", "--json"))["enabled"] is False
            await d.said("role", "remove", "member", "--user", "anna", "--project", "www")
            await d.said("user", "delete", "anna")
            await d.said("project", "delete", "www")
            for kind in ("user", "project"):
                assert [one["name"] for one in json.loads(await d.said(kind, "list", "--json"))] == ["admin"]

    run(main())


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as d:
            assert "The name of the user is empty." in await d.refused("user", "show", "")
            assert "The name of the server is empty." in await d.refused("console", "")
            assert "no user called ann" in await d.refused("user", "show", "ann")
            assert "no project called x" in await d.refused("user", "create", "ann", "--project", "x", stdin="p\n")
            assert "no role called x" in await d.refused("role", "add", "x", "--user", "admin", "--project", "admin")
            assert "contains no password" in await d.refused("user", "create", "ann")
            assert "called admin already" in await d.refused("user", "create", "admin", stdin="p\n")
            assert "leave no administrator" in await d.refused("user", "delete", "admin")
            assert "leave no administrator" in await d.refused("user", "set", "admin", "--disable")
            assert "No change was given" in await d.refused("user", "set", "admin")
            assert "exclude each other" in await d.refused("user", "set", "admin", "--enable", "--disable")
            clouds = yaml.safe_load(d.clouds.read_text())
            clouds["clouds"]["kilonova"]["auth"]["password"] = "wrong"
            d.clouds.write_text(yaml.safe_dump(clouds))
            assert "requires authentication" in await d.refused("user", "list")

    run(main())


def test_the_policy_is_listed_and_a_sample_of_it_printed(tmp_path: Path) -> None:
    async def main() -> None:
        here = CommandLine(tmp_path / "none", None)
        sample = await here.said("policy", "sample")
        assert '#"os_compute_api:os-services:list": "rule:context_is_admin"' in sample
        (tmp_path / "policy.yaml").write_text('"os_compute_api:os-services:list": "role:operator"\n')
        config = tmp_path / "kilonova.conf"
        config.write_text(f"[oslo_policy]\npolicy_file = {tmp_path}/policy.yaml\n")
        words = ("policy", "list", "--config-file", str(config), "--json")
        assert json.loads(await here.said(*words, "--changed")) == [
            {
                "rule": "os_compute_api:os-services:list",
                "check": "role:operator",
                "from": f"{tmp_path}/policy.yaml",
            }
        ]
        assert len(json.loads(await here.said(*words))) > 100
        (tmp_path / "policy.yaml").write_text("[")
        assert "cannot be read" in await here.refused(*words)

    run(main())


def test_who_has_lost_the_password_gets_in_again(tmp_path: Path) -> None:
    async def main() -> None:
        here = CommandLine(tmp_path / "none", None)
        state = ("--state-path", str(tmp_path / "state"))
        assert "There is no database" in await here.refused("reset-password", *state, stdin="new\n")
        assert not (tmp_path / "state").exists()
        (tmp_path / "state").mkdir()
        async with running_cloud(state=tmp_path / "state") as cloud:
            assert await log_in(cloud.http, cloud.password)
        assert "contains no password" in await here.refused("reset-password", *state)
        assert "no user called bob" in await here.refused("reset-password", "bob", *state, stdin="new\n")
        with prepare_state(tmp_path / "state"):
            assert "Another kilonova runs" in await here.refused("reset-password", *state, stdin="new\n")
        assert "admin has a new password" in await here.said("reset-password", *state, stdin="new\n")
        async with running_cloud(state=tmp_path / "state", password="new") as cloud:
            assert cloud.token

    run(main())
