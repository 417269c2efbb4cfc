# SPDX-License-Identifier: Apache-2.0
"""Records the RPC messages of the release whose code is imported: `python tests/rolling/record.py DIRECTORY`.

It is run with the code of a release, once, when the next code version begins; the files in tests/rolling/vN are then
never changed.  For each module of kilonova.rpcapi one file: the methods, the JSON schemas of what the release reads and
of what it writes, and samples that the release has written.  It imports nothing but the release's own code.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kilonova import rpcapi
from kilonova.objects import action_params
from kilonova.objects.states import VERBS
from kilonova.rpcapi.method import methods_of

_ALL = (importlib.import_module(f"kilonova.rpcapi.{one.name}") for one in pkgutil.iter_modules(rpcapi.__path__))
MODULES = tuple(module for module in _ALL if methods_of(module))
TIME = "2026-01-02T03:04:05Z"


def main() -> None:
    """Write the files."""
    target = Path(sys.argv[1])
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        (target / f"{name}.json").write_text(json.dumps(record(module), indent=1, sort_keys=True) + "\n")


def record(module: Any) -> dict[str, Any]:
    """The methods of a module, and the schemas that they share."""
    found: dict[str, Any] = {}
    reads, writes = {}, {}
    for name, method in sorted(methods_of(module).items()):
        entry: dict[str, Any] = {"subject": method.subject, "kind": method.kind.value}
        for part, form in (("request", method.request_form), ("reply", method.reply_form)):
            read, written = form.json_schema(), form.json_schema(mode="serialization")
            reads |= read.pop("$defs", {})
            writes |= written.pop("$defs", {})
            entry[part] = {"reads": read, "writes": written, "samples": samples(form)}
        found[name] = entry
    return {"methods": found, "reads": reads, "writes": writes}


def samples(form: TypeAdapter[Any]) -> list[Any]:
    """Messages with all fields and with few, one for each verb where the message has one; as the form writes them."""
    schema = form.json_schema()
    drafts = [fill(schema, schema.get("$defs", {}), every=every) for every in (True, False)]
    drafts = [variant for draft in drafts for variant in by_verb(draft)]
    written = [form.dump_python(form.validate_json(json.dumps(draft)), mode="json") for draft in drafts]
    return [one for number, one in enumerate(written) if one not in written[:number]]


def by_verb(draft: Any) -> list[Any]:
    """The draft with each verb and its own parameters."""
    if "verb" in draft:
        return [{**draft, "verb": verb, "params": params_of(verb, action_params.REQUESTED)} for verb in VERBS]
    if draft.get("items") and "action" in draft["items"][0]:
        item = draft["items"][0]
        actions = [{**item["action"], "verb": v, "params": params_of(v, action_params.RECORDED)} for v in VERBS]
        return [{**draft, "items": [{**item, "action": action}]} for action in actions]
    return [draft]


def params_of(verb: Any, kinds: Any) -> Any:
    """All parameters of a verb."""
    schema = TypeAdapter(kinds.get(verb, action_params.NoParams)).json_schema()
    return fill(schema, schema.get("$defs", {}), every=True)


def fill(schema: Any, defs: Any, *, every: bool) -> Any:
    """A value of the schema, with all of its fields or only the required ones."""
    if "$ref" in schema:
        return fill(defs[schema["$ref"].rpartition("/")[2]], defs, every=every)
    if "anyOf" in schema:
        choices = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return fill(choices[0], defs, every=every)
    if "enum" in schema or "const" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            names = fields if every else schema.get("required", ())
            found = {name: fill(fields[name], defs, every=every) for name in names}
            more = schema.get("additionalProperties")
            return found | ({"key": fill(more, defs, every=every)} if every and isinstance(more, dict) else {})
        case "array":
            fixed = [fill(one, defs, every=every) for one in schema.get("prefixItems", ())]
            return fixed or ([fill(schema["items"], defs, every=every)] if every and schema.get("items") else [])
        case "string":
            return TIME if schema.get("format") == "date-time" else "x"
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return None


if __name__ == "__main__":
    main()
