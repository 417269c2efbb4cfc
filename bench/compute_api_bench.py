# SPDX-License-Identifier: Apache-2.0
#!/usr/bin/env python3
"""Load and latency figures of a Compute API v2.1 service, as JSON on stdout.

Speaks only the public OpenStack Compute API (v2.1 with a microversion), so the
same script measures OpenStack Nova and anything else that serves that API.

    compute_api_bench.py --endpoint http://127.0.0.1:8774/v2.1 --token admin \\
        --image IMAGE_ID --flavor 1 --count 200 --concurrency 20

Phases (choose with --phases; the default is the first five):
  latency   --repeat servers one after another: POST to ACTIVE, DELETE to gone
  create    --count servers by --concurrency clients: until every one settled
  list      GET /servers/detail of the servers that exist
  get       GET /servers/{id}, --get-seconds long, --get-concurrency callers,
            over this run's servers (if it has none, over all there are)
  delete    every server of this run: until every one is gone
  fault     only creates: each server's end state after --settle seconds
  purge     deletes every server that the endpoint lists, of whichever run

A server counts as settled in ACTIVE or ERROR.  The wait for many servers polls
one listing of this run's names (GET /servers/detail?name=PREFIX) every --poll
seconds, or four times as long as the last listing took if that is longer, so
that watching stays cheap; the wait for one server polls GET /servers/{id}
every --poll seconds.

--pids NAME=PID,NAME=PID... adds the CPU seconds that these process trees spent
in each phase (read from /proc, children included, so only where the service
runs on this machine).  --keep leaves the servers in place.
"""
import argparse
import asyncio
import json
import os
import statistics
import sys
import time
import uuid

import httpx

TICK = os.sysconf("SC_CLK_TCK")


def figures(values, scale=1000.0):
    """n, min, p50, p95, max of some durations, in milliseconds by default."""
    if not values:
        return {"n": 0}
    v = sorted(x * scale for x in values)
    return {"n": len(v), "min": round(v[0], 2),
            "p50": round(statistics.median(v), 2),
            "p95": round(v[min(len(v) - 1, int(len(v) * 0.95))], 2),
            "max": round(v[-1], 2)}


# ---- CPU of process trees -------------------------------------------------

def tree_cpu(roots):
    """CPU seconds (user+system) by name, of each root pid and its descendants.

    Counts what ended and was waited for too (cutime, cstime)."""
    stat, kids = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                rest = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        stat[int(pid)] = sum(map(int, rest[11:15])) / TICK
        kids.setdefault(int(rest[1]), []).append(int(pid))

    def total(pid):
        return stat.get(pid, 0.0) + sum(map(total, kids.get(pid, ())))
    return {name: total(pid) for name, pid in roots.items()}


class Cpu:
    """with Cpu(roots) as c: ...; c.spent is the seconds by name and 'total'."""

    def __init__(self, roots):
        self.roots = roots

    def __enter__(self):
        self.before = tree_cpu(self.roots)
        return self

    def __exit__(self, *exc):
        after = tree_cpu(self.roots)
        self.spent = {n: round(after[n] - self.before[n], 2) for n in after}
        self.spent["total"] = round(sum(self.spent.values()), 2)


# ---- The API ----------------------------------------------------------------

class Api:
    def __init__(self, args, client):
        self.a, self.c = args, client
        self.prefix = "bench-%s" % uuid.uuid4().hex[:8]
        self.serial = 0
        self.errors = {}

    async def call(self, method, path, ok, **kw):
        try:
            r = await self.c.request(method, self.a.endpoint + path, **kw)
        except httpx.HTTPError as exc:
            self.note(method, type(exc).__name__)
            return None
        if r.status_code not in ok:
            self.note(method, "HTTP %d" % r.status_code)
            if self.a.verbose:
                print(method, path, r.status_code, r.text[:500],
                      file=sys.stderr)
        return r

    def note(self, method, what):
        key = "%s %s" % (method, what)
        self.errors[key] = self.errors.get(key, 0) + 1

    async def create(self):
        """POST one server: its id, or None if the API refused it."""
        self.serial += 1
        server = {"name": "%s-%d" % (self.prefix, self.serial),
                  "imageRef": self.a.image, "flavorRef": self.a.flavor}
        if self.a.networks:
            server["networks"] = (self.a.networks
                                  if self.a.networks in ("none", "auto")
                                  else [{"uuid": self.a.networks}])
        r = await self.call("POST", "/servers", (202,), json={"server": server})
        return (r.json()["server"]["id"]
                if r is not None and r.status_code == 202 else None)

    async def status(self, sid):
        r = await self.call("GET", "/servers/" + sid, (200, 404))
        if r is None:
            return "?"
        return r.json()["server"]["status"] if r.status_code == 200 else "GONE"

    async def delete(self, sid):
        return await self.call("DELETE", "/servers/" + sid, (204, 404))

    async def mine(self):
        """{id: status} of this run's servers that exist."""
        return await self.listing({"name": self.prefix})

    async def listing(self, query):
        found, marker = {}, None
        while True:
            q = dict(query, limit="1000")
            if marker:
                q["marker"] = marker
            r = await self.call("GET", "/servers/detail", (200,), params=q)
            if r is None or r.status_code != 200:
                return None
            page = r.json()["servers"]
            found.update((s["id"], s["status"]) for s in page)
            if len(page) < 1000:
                return found
            marker = page[-1]["id"]

    async def wait_one(self, sid, done):
        t0 = time.perf_counter()
        while time.perf_counter() - t0 < self.a.timeout:
            s = await self.status(sid)
            if s in done:
                return s
            await asyncio.sleep(self.a.poll)
        return "TIMEOUT"

    async def wait_all(self, test):
        t0 = time.perf_counter()
        seen = {}
        while time.perf_counter() - t0 < self.a.timeout:
            t1 = time.perf_counter()
            now = await self.mine()
            if now is not None:
                seen = now
                if test(seen):
                    return seen
            await self.rest(t1)
        return seen

    async def rest(self, since):
        """Between two listings: --poll, but four times what the last took, so
        that watching takes at most a fifth of one API worker's time."""
        await asyncio.sleep(max(self.a.poll,
                                4 * (time.perf_counter() - since)))


async def crowd(n, workers, job):
    """Runs job(i) for i < n by some workers; the durations of each."""
    todo, times = iter(range(n)), []

    async def worker():
        for i in todo:
            t0 = time.perf_counter()
            await job(i)
            times.append(time.perf_counter() - t0)
    await asyncio.gather(*(worker() for _ in range(workers)))
    return times


def tally(states):
    out = {}
    for s in states:
        out[s] = out.get(s, 0) + 1
    return out


# ---- Phases -----------------------------------------------------------------

async def latency(api, a, out):
    post, active, gone, states = [], [], [], []
    for _ in range(a.repeat):
        t0 = time.perf_counter()
        sid = await api.create()
        post.append(time.perf_counter() - t0)
        if sid is None:
            continue
        states.append(await api.wait_one(sid, ("ACTIVE", "ERROR")))
        active.append(time.perf_counter() - t0)
        t0 = time.perf_counter()
        await api.delete(sid)
        await api.wait_one(sid, ("GONE", "DELETED"))
        gone.append(time.perf_counter() - t0)
    out["post_ms"] = figures(post)
    out["post_to_active_ms"] = figures(active)
    out["delete_to_gone_ms"] = figures(gone)
    out["states"] = tally(states)


async def create(api, a, out):
    t0 = time.perf_counter()
    ids = []

    async def one(_):
        ids.append(await api.create())
    posts = await crowd(a.count, a.concurrency, one)
    accepted = sum(1 for i in ids if i)
    t1 = time.perf_counter()
    seen = await api.wait_all(
        lambda s: len(s) >= accepted
        and all(x in ("ACTIVE", "ERROR") for x in s.values()))
    t2 = time.perf_counter()
    out.update(post_ms=figures(posts), accepted=accepted,
               posts_per_s=round(accepted / (t1 - t0), 2),
               seconds_until_settled=round(t2 - t0, 2),
               servers_per_s=round(accepted / (t2 - t0), 2),
               states=tally(seen.values()))


async def listing(api, a, out):
    times, n, size = [], 0, 0
    for _ in range(a.list_repeat):
        t0 = time.perf_counter()
        r = await api.call("GET", "/servers/detail", (200,),
                           params={"limit": "1000"})
        times.append(time.perf_counter() - t0)
        if r is not None and r.status_code == 200:
            n, size = len(r.json()["servers"]), len(r.content)
    out.update(servers=n, bytes=size, detail_ms=figures(times))


async def get(api, a, out):
    ids = list(await api.mine() or await api.listing({}) or ())
    if not ids:
        out["skipped"] = "no servers"
        return
    seq = await crowd(50, 1, lambda i: api.status(ids[i % len(ids)]))
    end = time.perf_counter() + a.get_seconds
    times = []

    async def caller(k):
        while time.perf_counter() < end:
            t0 = time.perf_counter()
            await api.status(ids[k % len(ids)])
            times.append(time.perf_counter() - t0)
            k += a.get_concurrency
    t0 = time.perf_counter()
    await asyncio.gather(*(caller(k) for k in range(a.get_concurrency)))
    out.update(sequential_ms=figures(seq), concurrent_ms=figures(times),
               requests_per_s=round(len(times) / (time.perf_counter() - t0), 1))


async def delete(api, a, out, everything=False):
    ids = list(await (api.listing({}) if everything else api.mine()) or ())
    t0 = time.perf_counter()
    calls = await crowd(len(ids), a.concurrency, lambda i: api.delete(ids[i]))
    t1 = time.perf_counter()
    if everything:
        left = {}
        while time.perf_counter() - t1 < a.timeout:
            t2 = time.perf_counter()
            left = await api.listing({})
            if left == {}:
                break
            await api.rest(t2)
    else:
        left = await api.wait_all(lambda s: not s)
    t2 = time.perf_counter()
    out.update(servers=len(ids), delete_ms=figures(calls),
               seconds_until_gone=round(t2 - t0, 2),
               servers_per_s=round(len(ids) / (t2 - t0), 2),
               left=tally((left or {}).values()))


async def purge(api, a, out):
    await delete(api, a, out, everything=True)


async def fault(api, a, out):
    """Creates, then waits --settle seconds whatever happens; the end states.

    Prints 'posted' on stderr once every POST was answered, and 'first' as soon
    as the first server is ACTIVE, so that a caller can break something then."""
    ids = []

    async def one(_):
        ids.append(await api.create())
    t0 = time.perf_counter()
    task = asyncio.create_task(crowd(a.count, a.concurrency, one))
    printed, line, settled = set(), [], None
    while time.perf_counter() - t0 < a.settle:
        seen = await api.mine()
        now = round(time.perf_counter() - t0, 1)
        if seen is not None:
            t = tally(seen.values())
            if not line or line[-1][1] != t:
                line.append([now, t])
            if t.get("ACTIVE") and "first" not in printed:
                printed.add("first")
                print("first", file=sys.stderr, flush=True)
        if task.done() and "posted" not in printed:
            printed.add("posted")
            print("posted", file=sys.stderr, flush=True)
        accepted = sum(1 for i in ids if i)
        if (task.done() and seen is not None and len(seen) >= accepted
                and not set(seen.values()) - {"ACTIVE", "ERROR"}):
            settled = now
            break
        await asyncio.sleep(a.poll)
    if not task.done():
        task.cancel()
    accepted = [i for i in ids if i]
    seen = await api.mine()
    out.update(asked=a.count, accepted=len(accepted),
               refused_or_lost_posts=a.count - len(accepted),
               settled_after_s=settled, states=tally((seen or {}).values()),
               accepted_but_unlisted=len(set(accepted) - set(seen or {})),
               timeline=line if len(line) < 40 else line[::len(line) // 30])


async def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--endpoint", required=True, help="…/v2.1")
    p.add_argument("--token", default="admin", help="X-Auth-Token")
    p.add_argument("--microversion", default="2.90")
    p.add_argument("--image", required=True)
    p.add_argument("--flavor", required=True)
    p.add_argument("--networks", default="none",
                   help="none, auto, a network's id, or '' for no such key")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--concurrency", type=int, default=20)
    p.add_argument("--repeat", type=int, default=15, help="in phase latency")
    p.add_argument("--list-repeat", type=int, default=7)
    p.add_argument("--get-seconds", type=float, default=10)
    p.add_argument("--get-concurrency", type=int, default=16)
    p.add_argument("--poll", type=float, default=0.05)
    p.add_argument("--timeout", type=float, default=600,
                   help="longest wait of one phase, seconds")
    p.add_argument("--settle", type=float, default=180, help="in phase fault")
    p.add_argument("--http-timeout", type=float, default=120)
    p.add_argument("--phases", default="latency,create,list,get,delete")
    p.add_argument("--pids", default="", help="NAME=PID,…: their CPU seconds")
    p.add_argument("--keep", action="store_true", help="leave the servers")
    p.add_argument("--verbose", action="store_true")
    a = p.parse_args()
    a.endpoint = a.endpoint.rstrip("/")
    roots = {n: int(i) for n, i in
             (x.split("=") for x in a.pids.split(",") if x)}
    phases = [x for x in a.phases.split(",") if x]
    if a.keep:
        phases = [x for x in phases if x != "delete"]
    run = {"latency": latency, "create": create, "list": listing, "get": get,
           "delete": delete, "fault": fault, "purge": purge}
    result = {"endpoint": a.endpoint, "microversion": a.microversion,
              "count": a.count, "concurrency": a.concurrency,
              "networks": a.networks, "poll_s": a.poll}
    headers = {"X-Auth-Token": a.token, "Accept": "application/json",
               "X-OpenStack-Nova-API-Version": a.microversion,
               "OpenStack-API-Version": "compute " + a.microversion}
    limits = httpx.Limits(max_connections=max(a.concurrency,
                                              a.get_concurrency) + 4)
    async with httpx.AsyncClient(headers=headers, limits=limits,
                                 timeout=a.http_timeout) as client:
        api = Api(a, client)
        result["names"] = api.prefix
        for name in phases:
            out = result[name] = {}
            with Cpu(roots) as cpu:
                await run[name](api, a, out)
            if roots:
                out["cpu_s"] = cpu.spent
        if api.errors:
            result["errors"] = api.errors
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    asyncio.run(main())
