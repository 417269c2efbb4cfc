# SPDX-License-Identifier: Apache-2.0
"""docs/verify.md: the text, and the table of all kinds of differences."""

from kilonova.objects.difference import KINDS, Kind, Part

_TITLES = {
    Part.DATABASE: "In the database",
    Part.HOST: "Between the database and a host",
    Part.IMAGES: "Between the database and the image store",
}


def markdown() -> str:
    """The document, below its head."""
    lines = [_TEXT]
    for part, title in _TITLES.items():
        lines += [f"### {title}\n", "| code | difference | with `--repair` | by hand |", "|---|---|---|---|"]
        lines += [_row(kind) for kind in KINDS.values() if kind.part is part]
        lines.append("")
    return "\n".join(lines)


def _row(kind: Kind) -> str:
    twice = " (after two looks)" if kind.orphan else ""
    return f"| `{kind.code}` | {kind.title} | {kind.repair or '-'}{twice} | {kind.by_hand or '-'} |"


_TEXT = """\
# `kilonova verify`

```sh
kilonova verify                            # compare everything; changes nothing
kilonova verify --host h1 --host h2        # only these hosts
kilonova verify --checksums                # also read all images, and the copies in the hosts' caches
kilonova verify --repair                   # look, wait 30 s, look again and repair; then look once more
kilonova verify --watch 300 --json         # look every 300 s; one line for each change, until interrupted
```

The command compares the database with what exists, on one box and in a fleet. It is a client of the API and requires
the `clouds.yaml` of an administrator (policy rule `kilonova:verify`, `POST /kilonova/verify`). `kilonova doctor`
checks one machine; `kilonova verify` compares the records with all of them.

| exit status | meaning |
|---|---|
| 0 | no difference |
| 1 | differences; after `--repair`: differences that are left |
| 2 | a part could not be compared (a frozen host, no answer of the API), or the command line is wrong |

A host that does not answer is reported, and the others are compared. `--json` prints an object with `parts` (their
number), `differences` (`code`, `subject`, `host`, `found`, `repair`, `by_hand`, `outcome`), `count` and `unseen`
(sentences). Codes do not change. With `--watch --json` each line is an object with `at`, `change` (`new` or `ended`),
`code`, `host`, `subject`, `found`.

## What is a difference

* The tables of the database are compared in one snapshot. Each number follows from the servers, at each commit.
* A host lists its domains, directories, records, networks and cached images (in pages, with a time limit). The code
  that its periodic work uses judges which guests are orphans and which power states have changed. Then the same is
  done again, one second later: only what both looks have found is a difference.
* A server with an open action is not compared: the action decides.
* `--checksums` reads the cached images of each host in the background, and the files of the image store. Each API
  process of a fleet compares the files of its own store once a day, too ([images.md](images.md)); the command
  compares the store of the API process that serves it.

## What a repair does

* It runs the same operations and transactions as the service: a transaction judges again before it writes, a reboot
  is an action of the server (`openstack server event list`), an orphan is removed by the steps of a delete. Nothing
  is done around an open action.
* It deletes only what carries our tag: a domain with our metadata, a directory or a record of a guest, a file of the
  image cache or the image store. The conductor must report its server as deleted **from this host**, or nothing may
  need the file. And an earlier look must have found it, at least `--pause` seconds (30) before. Each host records
  what looks have found in `orphans.json` in its state directory, so that a look of yesterday counts; the image store
  has such a file, too.
* A guest or a directory of a server that the database does not have, or has on another host, is never deleted: a
  restored database may not contain it, or another cloud owns it.
* Domains without our metadata are not read.

## The differences
"""
