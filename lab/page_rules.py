# SPDX-License-Identifier: Apache-2.0
"""Rules for the code of the web page that its type checker does not know.

No markup is made from text, files stay small, every word has a use, and the vendored files are those of the manifest.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.common import TOP
from lab.vendor import HASHES, UI, file_hashes

APP = UI / "static/app"
FILE_LIMIT = 400
FORBIDDEN: Mapping[str, str] = {
    r"dangerouslySetInnerHTML|\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write|createContextualFragment": (
        "text must not become markup; use html`` with values"
    ),
    r"\beval\(|\bnew Function\b|import\(\s*`": "code must not be made from text",
    r"https?://(?!www\.w3\.org/)": "the page speaks to its own origin only",
    r"\bconsole\.(log|debug|info)\(": "nothing is printed to the console",
    r"""\bstyle=(?:"|\$\{`)""": "the Content-Security-Policy forbids style attributes; use a class",
}
_WORD = re.compile(r'^  (?:"([^"]+)"|(\w+)): ', re.MULTILINE)
_COMPUTED = re.compile(r"[`\"]([a-z.]+\.)\$\{")

_IMPORT = re.compile(r'^(?:import|export) [^;]*?from "(\.[^"]+)";', re.MULTILINE)
_PRELOAD = re.compile(r'<link rel="modulepreload" href="/ui/static/([^"]+)">')


def findings(path: Path) -> Iterator[str]:
    """What is wrong in one module, a line to print each."""
    text, where = path.read_text(), path.relative_to(TOP) if path.is_relative_to(TOP) else path
    count = text.count("\n")
    if count > FILE_LIMIT:
        yield f"{where}:1: {count} lines in one file (at most {FILE_LIMIT})"
    if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n"):
        yield f"{where}:1: the line with the licence is missing"
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, reason in FORBIDDEN.items():
            if re.search(pattern, line):
                yield f"{where}:{number}: {reason}"


def unused_words() -> Iterator[str]:
    """Words of words/en*.js that no module shows.  Keys that a module computes, such as `status.${name}`, are used."""
    tables = sorted(APP.glob("words/en*.js"))
    code = "\n".join(path.read_text() for path in APP.rglob("*.js") if path not in tables)
    beginnings = tuple(_COMPUTED.findall(code))
    for table in tables:
        for quoted, plain in _WORD.findall(table.read_text()):
            key = quoted or plain
            if f'"{key}"' not in code and not key.startswith(beginnings):
                yield f"{table.relative_to(TOP)}: no module shows {key}"


def changed_vendored_files() -> Iterator[str]:
    """Vendored files that differ from those which `make vendor` wrote."""
    recorded = {name: found for found, _, name in (line.partition("  ") for line in HASHES.read_text().splitlines())}
    found = file_hashes()
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            yield f"src/kilonova/ui/static/vendor/{name}: not as `make vendor` wrote it"


def modules_at_start() -> list[str]:
    """The page's own modules that main.js imports, directly or not, by their paths below static/."""
    found: list[Path] = [APP / "main.js"]
    for module in found:  # which grows meanwhile
        for name in _IMPORT.findall(module.read_text()):
            path = (module.parent / name).resolve()
            if path not in found:
                found.append(path)
    return sorted(str(path.relative_to(UI / "static")) for path in found)


def not_preloaded() -> Iterator[str]:
    """Differences between the modules that index.html loads at once and those which the start needs.

    Without the list a browser learns of a module only when it has read its importer.
    """
    listed, needed = _PRELOAD.findall((UI / "static/index.html").read_text()), modules_at_start()
    for name in needed:
        if name not in listed:
            yield f'index.html: add <link rel="modulepreload" href="/ui/static/{name}">'
    for name in listed:
        if name not in needed and not name.startswith("vendor/"):
            yield f"index.html: {name} is not needed at the start, and must not be preloaded"


def main() -> int:
    """Exit status 0 when nothing is wrong."""
    found = [line for path in sorted(APP.rglob("*.js")) for line in findings(path)]
    found += [*unused_words(), *changed_vendored_files(), *not_preloaded()]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
