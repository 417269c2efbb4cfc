# SPDX-License-Identifier: Apache-2.0
"""docs/cancel.md: the text, and the point of no return of each verb."""

from kilonova.compute.operations import OPERATIONS
from kilonova.objects.states import VERBS, Verb


def markdown() -> str:
    """The document, below its head."""
    head = "| verb | cannot be cancelled any more from | because | the server after a cancel |"
    lines = [_TEXT, head, "|---|---|---|---|"]
    for verb, rule in VERBS.items():
        if not rule.immediate:
            lines.append(_row(verb))
    return "\n".join(lines) + "\n"


def _row(verb: Verb) -> str:
    if VERBS[verb].until_done:
        return f"| {verb} | its acceptance | Parts of the server may be gone. | - |"
    operation = OPERATIONS[verb]
    last = next((step for step in operation.steps if step.no_return), None)
    when, why = ("its end", "-") if last is None else (f"the step `{last.name}`", last.no_return)
    return f"| {verb} | {when} | {why} | {operation.after_cancel} |"


_TEXT = """\
# Cancel

```sh
kilonova cancel web-1                                      # the action in progress on a server, by name or id
kilonova cancel req-7c0d4ec6-7f0f-4a3b-9d0e-54d1f0a5b9f4   # all actions of a request
kilonova cancel 2b1f6f8a-6f3e-4c0e-8d39-0d2f5a1c9e77       # one action, by its id
```

Every accepted action that waits or runs can be cancelled until its point of no return, by a member of the server's
project or an administrator (policy rule `kilonova:actions:cancel`). The actions of a locked server are cancelled by
administrators only. The page has a button "Cancel" beside each action in progress. The command is a client of
`POST /kilonova/cancel` with the body `{"cancel": {"id": ID}}`, which answers within two seconds with one entry for each
action:

| `result` | meaning | exit status |
|---|---|---|
| `cancelled` | The action has ended, and nothing of its work is left. | 0 |
| `cleaning-up` | The action has ended for its user, and its host has not ended the work yet. | 0 |
| `continues` | The action has passed its point of no return, which `message` names. It ends as requested. | 1 |
| `ended` | The action ended in another way before the cancel. | 0 |

With `cleaning-up` a call of the hypervisor does not return, or the host is down. The server is in ERROR. It can be
deleted; other requests are refused until the host has ended the work, and the server is what the table below says.

There is no other way in the Compute API: a server in BUILD can be deleted, which ends its build, too. The abort of a
migration exists in Nova for live migrations only, and this service has none.

## What happens

* An action that no host has received (it waits for a host, or its host does not answer) ends in the transaction of the
  cancel.
* Otherwise the host stops the run: at once in a step that can be interrupted (an image is fetched, a disk is copied,
  an image is uploaded, a guest is given time to shut down, a build waits for its turn), else before its next step.
  Then it makes the steps absent, the last one first, as after a failure, and reports the state of the guest. A guest
  has one run at a time: the removal begins when the interrupted run has ended.
* Once a host has begun a step with a point of no return, it refuses the cancel, and the run continues. If the host's
  process was restarted meanwhile, and the operation has such a step, it refuses, too, because it is unknown how far the
  run came.
* An action that is cancelled ends in the state `cancelled`. Its message and its event `conductor.cancel` say who
  cancelled it, and when (`openstack server event show`). Its notification ends with `.error`, as for a failure.
* A guest that should run, and that the cancelled action has powered off, is started by an action of its own.
* What the service does by itself (the confirmation of a resize after `resize_confirm_window`, an offload after
  `shelved_offload_time`) is requested again in the next round.
* An image that was complete at the moment of the cancel stays, and can be deleted.
* A host of code version 1 cannot cancel work that has begun; the answer says so.

The decisions are in [ADR 36](adr/0036-cancel.md).

## Points of no return
"""
