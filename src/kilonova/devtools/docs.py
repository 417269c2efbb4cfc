# SPDX-License-Identifier: Apache-2.0
"""Documents made from the code: `python -m kilonova.devtools.docs [--check] [DIR]`.

States, RPC methods, routes and configuration are declared once, in code; the documents repeat them for readers.  With
`--check` nothing is written and a stale document is exit status 1.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from oslo_config import cfg

from kilonova.config import default, load, network
from kilonova.devtools import cancel_doc, verify_doc
from kilonova.objects.extra_specs import AGGREGATE, SPECS
from kilonova.objects.image_properties import OLD_NAMES, PROPERTIES, Property
from kilonova.objects.states import OBSERVED, VERBS, PowerState, VmState
from kilonova.objects.statuses import api_status
from kilonova.rpcapi import api_to_conductor as conductor
from kilonova.rpcapi import api_to_conductor_admin as operators
from kilonova.rpcapi import api_to_conductor_fleet as fleet
from kilonova.rpcapi import api_to_conductor_identity as identity
from kilonova.rpcapi import api_to_conductor_images as image_stores
from kilonova.rpcapi import cancel as api_cancel
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi import host_to_conductor_images as host_images
from kilonova.rpcapi import to_host as compute
from kilonova.rpcapi import to_host_verify as compute_verify
from kilonova.rpcapi import verify as operators_verify
from kilonova.rpcapi.method import methods_of

HEAD = "<!-- Made by `make docs` from {source}; do not edit. -->\n"


def states() -> str:
    """The verbs' table and the diagram of vm_states."""
    lines = [
        HEAD.format(source="src/kilonova/objects/states.py"),
        "# States\n",
        "An instance has a `vm_state` (the stable state), a `task_state` (the change in progress) and a `power_state`",
        "(the hypervisor's last report). A verb is accepted in the listed states, a delete in every state.\n",
        "| verb | accepted in | task_state meanwhile | final state | deadline |",
        "|---|---|---|---|---|",
    ]
    for verb, rule in VERBS.items():
        allowed = "any" if verb == "delete" else ", ".join(sorted(rule.allowed)) or "(new)"
        lines.append(
            f"| {verb} | {allowed} | {rule.task_state or '-'} | {rule.final_state or 'unchanged'} "
            f"| {rule.deadline_s:g} s |"
        )
    lines += ["\n```mermaid\nstateDiagram-v2", "    [*] --> building: create"]
    for verb, rule in VERBS.items():
        sources = [VmState.BUILDING] if verb == "create" else sorted(rule.allowed)
        lines += [
            f"    {source} --> {rule.final_state}: {verb}"
            for source in sources
            if rule.final_state not in (None, source)
        ]
    lines.append("    building --> error: create fails")
    for (vm_state, power), after in OBSERVED.items():
        lines.append(f"    {vm_state} --> {after}: reported {power.name.lower()}")
    lines += ["    deleted --> [*]", "```\n", "| vm_state | API status | power_state numbers |", "|---|---|---|"]
    numbers = ", ".join(f"{power.value} {power.name}" for power in PowerState)
    for vm_state in VmState:
        lines.append(
            f"| {vm_state} | {api_status(vm_state, None, PowerState.RUNNING)} "
            f"| {numbers if vm_state is VmState.BUILDING else ''} |"
        )
    unknown = api_status(VmState.ACTIVE, None, PowerState.NOSTATE)
    lines.append(f"| active, and power_state 0 | {unknown} | the guest does not respond, or its state is unknown |")
    return "\n".join(lines) + "\n"


_RPC_ERRORS = (
    "Besides the errors listed, every call can raise RpcTimeout (RequestOutcomeUnknown when the method changes "
    "something),\nRpcUnavailable, DatabaseUnavailable and Overloaded (the caller sends more than it may).\n"
)


def rpc() -> str:
    """Every RPC method."""
    lines = [HEAD.format(source="src/kilonova/rpcapi"), "# RPC methods\n", _RPC_ERRORS]
    for title, module in _RPC.items():
        lines += [
            f"## {title}\n",
            "| method | kind | request | reply | errors | timeout | retry | since | what |",
            "|" + "---|" * 9,
        ]
        for method in methods_of(module).values():
            again = f"every {method.attempt_s:g} s" if method.idempotent and method.kind.value == "call" else "no"
            errors = ", ".join(error.__name__ for error in method.errors)
            lines.append(
                f"| {method.name} | {method.kind.value} | {method.request.__name__} | {method.reply.__name__} "
                f"| {errors} | {method.timeout_s:g} s | {again} | {method.since} | {method.doc} |"
            )
        lines.append("")
    return "\n".join(lines)


_RPC: Mapping[str, ModuleType] = {
    "API to conductor (`conductor.api`)": conductor,
    "API to conductor: identity (`conductor.api`)": identity,
    "API to conductor: image stores (`conductor.api`)": image_stores,
    "API to conductor, administration (`conductor.operators`)": operators,
    "API to conductor: the fleet (`conductor.operators`)": fleet,
    "Host to conductor (`conductor.host.<host>`)": host,
    "Host to conductor: images (`conductor.host.<host>`)": host_images,
    "To a host (`compute.<host>`)": compute,
    "API to conductor: cancel (`conductor.api`)": api_cancel,
    "API to conductor: verify (`conductor.operators`)": operators_verify,
    "To a host: verify (`compute.<host>`)": compute_verify,
}


def configuration() -> str:
    """Every option with its default."""
    lines = [HEAD.format(source="src/kilonova/config"), "# Configuration\n"]
    lines.append("The files have the format of nova.conf, with Nova's names where Nova has the option. Options")
    lines.append("marked ↻ are read again on SIGHUP; all others need a restart.\n")
    groups: dict[str, Sequence[cfg.Opt]] = {"DEFAULT": default.OPTIONS}
    groups.update({module.GROUP: module.OPTIONS for module in load.GROUPS})
    groups[network.group_of("NAME")] = network.BRIDGE_OPTIONS
    for name, options in groups.items():
        lines += [f"## [{name}]\n", "| option | default | what |", "|---|---|---|"]
        lines += [f"| `{opt.name}` | `{_default(opt)}` | {opt.help}{' ↻' if opt.mutable else ''} |" for opt in options]
        lines.append("")
    return "\n".join(lines)


def _default(opt: cfg.Opt) -> str:
    if isinstance(opt.default, list):
        return ",".join(str(item) for item in opt.default)
    return "" if opt.default is None else str(opt.default)


def api() -> str:
    """Every HTTP route and every action, with their arguments."""
    from kilonova.api.http.reference import markdown
    from kilonova.api.routes import SERVICES

    return HEAD.format(source="the route tables of src/kilonova/api") + "\n" + markdown(SERVICES)


def policy() -> str:
    """Every policy rule."""
    from kilonova.api.rules import markdown

    return HEAD.format(source="the route tables of src/kilonova/api") + "\n" + markdown()


def verify() -> str:
    """Every kind of difference."""
    return HEAD.format(source="src/kilonova/objects/difference.py") + "\n" + verify_doc.markdown()


def cancel() -> str:
    """The point of no return of every verb."""
    return HEAD.format(source="src/kilonova/compute/operations") + "\n" + cancel_doc.markdown()


def extra_specs() -> str:
    """Every extra spec, with the part of it that guests get."""
    lines = [HEAD.format(source="src/kilonova/objects/extra_specs.py"), "# Extra specs of flavors\n"]
    lines += [
        "A spec is a requirement. A flavor may have any of these specs, but a create with a flavor that requires what",
        "no guest here can have is refused with the spec's name (400). Names without a namespace, and names of",
        "namespaces that are not in the table (`acme:tier`), are labels without effect.\n",
        "From microversion 2.86 a name of one of these namespaces that is not in the table, and a value that does",
        "not match, is refused when it is set. Names and values are regular expressions that match the whole text;",
        "values match in any case.\n",
        f"`{AGGREGATE}KEY` requires a host with an aggregate whose metadata has KEY with",
        "that value; the value there may be a list with commas. Operators: `<or> a <or> b`, `<in>`, `s==`, `s!=`,",
        "`s<`, `s<=`, `s>`, `s>=`, and for numbers `=` (at least), `==`, `!=`, `>=`, `<=`.\n",
        "| name | values | guests get |",
        "|---|---|---|",
    ]
    lines += [f"| {_code(spec.name)} | {_code(spec.values)} | {_code(spec.kept or '')} |" for spec in SPECS]
    return "\n".join(lines) + "\n"


def image_properties() -> str:
    """Every image property, with the part of it that guests get."""
    lines = [HEAD.format(source="src/kilonova/objects/image_properties.py"), "# Properties of images\n"]
    lines += [
        "A property is a requirement. An image may have any of these properties, but a request that makes a server",
        "from an image is refused when a property requires what no server here can have, or has an invalid value: the",
        "refusal names the property and the allowed values (400). A name of the families `hw_`, `os_`, `hw:` and",
        "`trait:` that is not in the table is refused, too. All other names are labels without effect.\n",
        "A host reports what it supports beyond the common set, from libvirt's domain capabilities: machine types,",
        "buses, video models, UEFI and secure boot (Debian's package ovmf), an emulated TPM (swtpm). When no host",
        "supports a requirement, the server is in ERROR and its fault names the property; a rebuild, rescue or resize",
        "on a host without the support is refused at once (400).\n",
        "A server keeps the properties of its image (and min_ram and min_disk): a later change or deletion of the",
        "image changes neither the server nor the images that are made from it.\n",
        "Names and values are regular expressions that match the whole text.\n",
        "| name | values | servers get | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {_code(p.name)} | {_code(p.values)} | {_given(p)} | {p.what} |" for p in PROPERTIES]
    lines += [
        "\nOld names, which are read when the present name is missing:\n",
        "| name | present name |",
        "|---|---|",
    ]
    lines += [f"| `{old}` | `{new}` |" for old, new in OLD_NAMES.items()]
    lines.append("| `vmware_adaptertype` | `hw_disk_bus` (ide or scsi), with scsi `hw_scsi_model` |")
    return "\n".join(lines) + "\n"


def _given(one: Property) -> str:
    if one.given is None:
        return "refused"
    if one.given == one.values:
        return "all"
    return _code(one.given) if one.given else "the empty value"


def _code(pattern: str) -> str:
    return f"`{pattern.replace('|', chr(92) + '|')}`" if pattern else "nothing"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "states.md": states,
    "rpc.md": rpc,
    "configuration.md": configuration,
    "api.md": api,
    "policy.md": policy,
    "extra-specs.md": extra_specs,
    "image-properties.md": image_properties,
    "verify.md": verify,
    "cancel.md": cancel,
}


def main(argv: list[str]) -> int:
    """Write or check the documents under DIR (default: docs); the exit status."""
    check = "--check" in argv
    target = Path(next((arg for arg in argv if not arg.startswith("-")), "docs"))
    stale = [name for name, make in DOCUMENTS.items() if _refresh(target / name, make(), check=check)]
    if check and stale:
        sys.stderr.write(f"stale documents, run `make docs`: {', '.join(stale)}\n")
        return 1
    return 0


def _refresh(path: Path, text: str, *, check: bool) -> bool:
    """Whether the document differed from its source; it is written unless `check`."""
    fresh = path.exists() and path.read_text() == text
    if not fresh and not check:
        path.write_text(text)
    return not fresh


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
