# SPDX-License-Identifier: GPL-2.0-or-later
"""report: what a recording holds, in each form; and files that are not what they should be."""
import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
import xml.etree.ElementTree as xml  # which imports copy: that is no test
from harness import BUILD, UFFDCTL, contains, eq, main, ok, run, skip, test
from harness import record as rec

EVIL = b"</script><script>alert(1)</script>\x1b[31m\n\"'&<!--\xff"
FORMS = ([], ["--json"], ["--faults"], ["--faults", "--json"], ["--raw"], ["--chrome-trace"], ["--html"], ["--svg"])


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="uffdctl-report.") as d:
        yield d


MS, PAGE, GUEST, HEAP = 10**6, 4096, 0x7f0000000000, 0x7e0000000000


def names(evil=b"/memfd:guest"):
    """Threads 1 to 4: two vCPUs, a handler, a late one; the mappings guest and heap; an instruction with a symbol."""
    return (rec.item(rec.THREAD, 10, 11, "CPU 0/KVM") + rec.item(rec.THREAD, 10, 12, "CPU 1/KVM") +
            rec.item(rec.THREAD, 20, 21, evil[:15]) + rec.item(rec.THREAD, 10, 13, "late") +
            rec.item(rec.SHAPE, rec.MINOR, 2, 0, "continue") + rec.item(rec.SHAPE, rec.MISSING, 1, 1, "") +
            rec.item(rec.MAPPING, 10, rec.TEXT | rec.NUMBER, evil, GUEST) +
            rec.item(rec.MAPPING, 10, 0, "", 0) +
            rec.item(rec.CODE, 0x400123, rec.TEXT | rec.NUMBER, b"touch+0x1 " + evil) + rec.item(rec.CODE, 0x400456, rec.NUMBER, ""))


def faults(began=10**9, slower=1):
    """100 minor faults of two threads in the guest, one each millisecond; 10 that a signal ended, elsewhere."""
    out = [rec.block_of_fault(thread=1 + i % 2, shape=1, resolver=3, reader=3, mapping=1, code=1, start=began + i * MS,
                              wait=(i + 1) * 1000 * slower, queued=(i + 1) * 200, addr=GUEST + i * PAGE) for i in range(100)]
    out += [rec.block_of_fault(thread=4, shape=2, mapping=2, code=2, start=began + 200 * MS + i, wait=50 * MS, queued=None,
                               addr=HEAP) for i in range(9)]
    return out + [rec.block_of_fault(thread=4, shape=2, mapping=2, start=began + 300 * MS, wait=None, addr=HEAP)]


def make(path, evil=b"/memfd:guest", slower=1, **info):
    rec.write(path, rec.info(**info) + names(evil), *faults(slower=slower), rec.item(rec.END, 0))


@contextlib.contextmanager
def made(**kw):
    with folder() as d:
        make(f"{d}/record", **kw)
        yield f"{d}/record"


def report(*args, check=0):
    return run("report", "--json", *args, check=check).json()["report"]


def lines(*args):
    return [json.loads(x) for x in run("report", "--faults", "--json", *args, check=0).out.splitlines()]


# ---- text and JSON ----

@test
def report_text():
    with made() as path:
        out = run("report", path, check=0).out
        contains(out, "recorded on 2023-11-14 22:13:20 UTC, Linux 6.12.0, by uffdctl 0.1.0 with fentry: PID 1\n")
        contains(out, "110 faults in ")
        contains(out, "minor 100, missing 10")
        for part in (r"20 +21 /memfd:guest .* 100 ", r"10 /memfd:guest +100 ", r"10 +13 late +10 +450\.0ms",
                     r"0\.200000 +13 late +missing +50\.0ms +- signal +- +7e0000000000 -",
                     r" 100 +5\.[01]ms .* touch\+0x1 /memfd:guest", r" 9 +450\.0ms .* 0x400456"):
            ok(re.search(part, out), f"{part} is in: {out}")
        contains(run("report", "--top=1", path, check=0).out, "2 more: see --top and --json")


@test
def report_json():
    with made() as path:
        r = report(path)
        eq((r["type"], r["faults"], r["ended"]["signal"], r["unknown_waits"]),
           ("summary", {"minor": 100, "missing": 10, "wp": 0, "rwp": 0}, 10, 1), "totals")
        eq((r["pending"], r["lost_events"], r["teams"]), (None, None, None), "without totals in the file they are not known")
        eq([(x["tid"], x["faults"]) for x in r["resolvers"]], [(21, 100)], "resolvers")
        eq([(x["tid"], x["faults"], x["max_wait_ns"]) for x in r["waiters"]],
           [(13, 10, 50 * MS), (12, 50, 100000), (11, 50, 99000)], "waiters")
        m, = [x for x in r["mapping_waits"] if x["name"]]
        eq((m["faults"], m["lowest_addr"], m["highest_addr"], m["handle_ns"]["max"]),
           (100, hex(GUEST), hex(GUEST + 99 * PAGE), 80000), "mapping")
        eq(r["longest"][0]["wait_ns"], 50 * MS, "the longest comes first")
        eq([x["wait_ns"] for x in r["longest"]][-1], 100000, "then the next one")
        eq({k: r["recording"][k] for k in ("kernel", "selection", "end", "faults", "selected")},
           {"kernel": "6.12.0", "selection": "PID 1", "end": "complete", "faults": 110, "selected": 110}, "recording")


@test
def report_faults():
    with made() as path:
        all_faults = lines(path)
        eq(len(all_faults), 110, "faults")
        eq(all_faults[1], {
            "type": "fault", "ts_ns": 10**9 + MS, "pid": 10, "tid": 12, "comm": "CPU 1/KVM", "target_pid": 10,
            "addr": hex(GUEST + PAGE), "kind": "minor", "access": "write", "wait_ns": 2000, "queue_ns": 400, "ended": "woken",
            "reader_pid": 20, "reader_tid": 21, "reader_comm": "/memfd:guest", "resolver_pid": 20, "resolver_tid": 21,
            "resolver_comm": "/memfd:guest", "op": "continue", "name": "/memfd:guest", "offset": PAGE, "ip": "0x400123",
            "symbol": "touch+0x1 /memfd:guest"}, "with all that is known")
        eq({all_faults[-1][k] for k in ("wait_ns", "queue_ns", "resolver_pid", "op", "name", "offset", "ip", "symbol")}, {None},
           "and what is not")


# ---- zoom ----

@test
def report_zoom():
    with made() as path:
        for args, want in ((["--time=10ms-20ms"], 10), (["--time=-50ms"], 50), (["--time=150ms-"], 10),
                           (["--thread=12"], 50), (["--thread=CPU*"], 100), (["--thread=11", "--thread=late"], 60),
                           ([f"--range={GUEST:x}+16K"], 4), ([f"--range={HEAP:x}-{HEAP + 1:x}"], 10),
                           (["--range=@/memfd:*"], 100), (["--range=@none"], 0),
                           (["--time=10ms-20ms", "--thread=12", f"--range={GUEST + 10 * PAGE:#x}-{GUEST + 14 * PAGE:#x}"], 2)):
            r = report(*args, path)
            eq((sum(r["faults"].values()), r["recording"]["selected"], len(lines(*args, path))), (want,) * 3, f"{args}")
            eq(r["recording"]["faults"], 110, "of all")
        contains(run("report", "--thread=12", path, check=0).out, "110 faults recorded; of these, the 50 that were asked for")
        eq(report("--time=10ms-20ms", path)["duration_ns"], 10 * MS, "duration")


@test
def report_usage():
    for args, words in (([], "no FILE given"), (["--time=5", "x"], "--time=5: write FROM-TO"),
                        (["--time=5s-2s", "x"], "write FROM-TO"), (["--range=frob", "x"], "--range=frob: write START-END"),
                        (["--range=7f00-6000", "x"], "write START-END"), (["--thread=", "x"], "a thread ID"),
                        (["--html", "--svg", "x"], "can't be combined"), (["--html", "-J", "x"], "can't be combined"),
                        (["--diff", "x"], "--diff requires two"), (["--top=0", "x"], "--top=0: write a number"),
                        (["--cells=1x5000", "--svg", "x"], "--cells=1x5000: write COLUMNSxROWS"), (["--cells=9x9", "x"], "--cells is for")):
        contains(run("report", *args, check=2).err, words)


# ---- other forms ----

@test
def report_raw():
    with made() as path:
        out = run("report", "--raw", path, check=0).out
        cells = [line.split() for line in out.splitlines() if line and line[0] != "#"]
        eq(sum(int(n) for _, _, n in cells), 110, "each fault is in a cell")
        ok(all(0 <= float(t) <= 0.3001 and int(a) in range(HEAP, GUEST + 100 * PAGE) for t, a, _ in cells), "times, addresses")
        contains(out, "of process 10, 4096 bytes a cell: /memfd:guest\n")
        coarse = run("report", "--raw", "--cells=2x4", f"--range={GUEST:x}+1M", path, check=0).out
        cells = [line.split() for line in coarse.splitlines() if line and line[0] != "#"]
        eq(sorted({int(a) for _, a, _ in cells}), [GUEST + i * 25 * PAGE for i in range(4)], "rows")
        eq(sum(int(n) for _, _, n in cells), 100, "faults")


@test
def report_chrome_trace():
    with made() as path:
        events = json.loads(run("report", "--chrome-trace", path, check=0).out)["traceEvents"]
        of = lambda phase: [e for e in events if e["ph"] == phase]
        eq({(e["tid"], e["args"]["name"]) for e in of("M") if e["name"] == "thread_name"},
           {(11, "CPU 0/KVM"), (12, "CPU 1/KVM"), (21, "/memfd:guest"), (13, "late")}, "a track for each thread")
        slices = [e for e in of("X") if e["tid"] == 12]
        eq([(e["cat"], e["ts"], e["dur"]) for e in slices[:2]], [("queued", 1000.0, 0.4), ("handled", 1000.4, 1.6)], "slices")
        eq(len(slices), 100, "two for each fault")
        starts, ends = {e["id"]: e for e in of("s")}, {e["id"]: e for e in of("f")}
        eq((len(starts), set(starts)), (100, set(ends)), "flows")
        marks = {(e["ts"], e["tid"]) for e in of("X") if e["cat"] == "resolve"}
        for i, e in ends.items():
            ok((e["ts"], e["tid"]) in marks and e["tid"] == 21 and e["ts"] > starts[i]["ts"], f"flow {i} leads to the resolver")
        eq([e["tid"] for e in of("i")], [13], "a wait that is not known is a mark")


@test
def report_diff():
    with folder() as d:
        make(f"{d}/a")
        make(f"{d}/b", slower=4, recording=78)
        r = report("--diff", f"{d}/a", f"{d}/b", check=0)
        eq(r["totals"]["faults"], {"a": 110.0, "b": 110.0, "ratio": 1.0}, "faults")
        guest, = [m for m in r["mappings"] if m["name"] == "/memfd:guest"]
        ok(3.7 < guest["wait_p50_ns"]["ratio"] < 4.3, f"by mapping: {guest}")
        eq(len(r["resolvers"]), 1, "resolvers")
        out = run("report", "--diff", f"{d}/a", f"{d}/b", check=0).out
        ok(re.search(r"wait p50 +\d.*us +\d.*us +x[34]\.\d", out), f"side by side: {out}")
        contains(run("report", f"{d}/a", f"{d}/b", check=1).err, "are two recordings")


@test
def report_svg():
    with made(evil=EVIL) as path:
        out = run("report", "--svg", path, check=0).out
        root = xml.fromstring(out)
        shades = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("fill", "").startswith("#") and e.get("height") == "3"]
        ok(len(shades) > 20, f"{len(shades)} cells")
        texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        ok(any("</script>" in t for t in texts), "a name is text")
        contains(" ".join(texts), "time since watching began")
        contains(" ".join(texts), f"{GUEST:x}")
        eq(re.findall(r"(?:href|src|url)", out), [], "nothing from outside")


def page_data(html):
    return re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.S)[1]


@test
def report_html():
    with made(evil=EVIL) as path:
        html = run("report", "--html", path, check=0).out
        eq(html.count("<script"), 2, "scripts: the data, and ours")
        ok(not re.search(r'(?:src|href)="(?!data:)|url\(|@import|https?://', html), "no references to the outside")
        data = json.loads(page_data(html))
        ok(not set("<>&") & set(page_data(html)), "names can't end the element that holds them")
        heat = data["heat"]
        eq(sum(heat["cells"][2::4]), 110, "each fault is in a cell")
        eq(sum(heat["waits"][0::4]), 110, "and in the time line")
        eq([b["pid"] for b in heat["bands"]], [10, 10], "bands")
        contains(data["report"]["instructions"][-1]["symbol"], "</script>")


# What a user would do: move over the map, drag, look at everything; it says what is there.
DRIVE = """
<script>
window.addEventListener("load", () => {
  const canvas = document.getElementById("heat"), box = canvas.getBoundingClientRect();
  const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, { clientX: box.left + x, clientY: box.top + y, pointerId: 1 }));
  canvas.setPointerCapture = () => {};
  send("pointermove", 155, 150);
  const tip = document.getElementById("tip").textContent;
  send("pointerdown", 200, 40);
  send("pointermove", 500, 180);
  send("pointerup", 500, 180);
  const zoom = document.getElementById("zoom").textContent;
  document.getElementById("reset").click();
  const said = { tip, zoom, reset: document.getElementById("zoom").textContent, rows: document.querySelectorAll("tbody tr").length,
                 title: document.title, alerts: window.alerts || 0 };
  document.body.setAttribute("data-said", JSON.stringify(said));
});
window.alert = () => { window.alerts = 1; };
</script></body>"""


@functools.lru_cache(None)
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        skip("no chromium is installed; Debian's package chromium runs this")
    return found


@test(limit=180)
def report_html_in_a_browser():
    """It opens without errors on the console; the heat map can be hovered over and zoomed; names do nothing."""
    with folder() as d:
        make(f"{d}/record", evil=EVIL)
        html = run("report", "--html", f"{d}/record", check=0).out
        with open(f"{d}/page.html", "w") as f:
            f.write(html.replace("</body>", DRIVE))
        command = [browser(), "--headless", "--disable-gpu", "--enable-logging=stderr", "--v=0", f"--user-data-dir={d}/profile",
                   "--window-size=1280,1400", "--virtual-time-budget=3000", "--dump-dom", f"file://{d}/page.html"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        p = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=150)
        eq([line for line in p.stderr.splitlines() if "CONSOLE" in line], [], "nothing on the console")
        m = re.search(r'data-said="([^"]*)"', p.stdout)
        ok(m, f"the page has run: {p.stderr[-500:]}")
        said = json.loads(m[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        eq((said["alerts"], said["reset"]), (0, ""), "no name acts; the button shows all")
        contains(said["tip"], "s - ")
        contains(said["zoom"], "--range=")
        ok(said["rows"] > 10, f"tables have {said['rows']} rows")
        contains(said["title"], "record - uffdctl report")


# ---- several files ----

@test
def report_parts():
    with folder() as d:
        for part, end in ((0, 1), (1, 1), (2, 0)):
            rec.write(f"{d}/p{part}", rec.info(part=part) + names(), *faults(), rec.item(rec.END, end))
        r = report(f"{d}/p2", f"{d}/p0", f"{d}/p1")
        eq((r["recording"]["faults"], [f["part"] for f in r["recording"]["files"]], r["recording"]["end"]),
           (330, [0, 1, 2], "complete"), "put together")
        eq(report(f"{d}/p0")["recording"]["end"], "continues", "the first one")
        contains(run("report", f"{d}/p2", check=0).err, "2 before it are not given")
        contains(run("report", f"{d}/p0", f"{d}/p0", check=1).err, "the same part of a recording")
        make(f"{d}/other", recording=5)
        contains(run("report", f"{d}/p0", f"{d}/other", check=1).err, "are two recordings")


# ---- files that are not as they should be ----

@test
def report_hostile_names():
    """In no form does a name act on a terminal."""
    with made(evil=EVIL, selection="PID 1\x1b]0;x\x07", kernel="6\x1b[2J") as path:
        for form in FORMS:
            r = run("report", *form, path, check=0)
            ok(not re.search(r"[\x00-\x09\x0b-\x1f\x7f\udc80-\udcff]", r.out + r.err), f"{form}: no control characters")
        ok(all(x["name"] in (None, EVIL[:-1].decode().replace("\x1b", "\\x1b").replace("\n", "\\x0a") + "\\xff")
               for x in lines(path)), "names are escaped")


@test
def report_truncated():
    with made() as path:
        with open(path, "rb") as f:
            data = f.read()
        starts = rec.blocks(data)
        for cut in (starts[50], starts[50] + 1, starts[50] + 11, starts[50] + 13, starts[51] - 1):
            with open(path, "wb") as f:
                f.write(data[:cut])
            r = run("report", "--json", path, check=0)
            eq((r.json()["report"]["recording"]["faults"], r.json()["report"]["recording"]["end"]), (49, "cut"), "what is whole")
            eq("the last block is incomplete, as after a kill" in r.err, cut != starts[50], "it is said")
        for cut in (0, 5, 12, 16, 20):
            with open(path, "wb") as f:
                f.write(data[:cut])
            r = run("report", "--json", path, check=1)
            eq(r.json()["report"], None, "no report")
            contains(r.json()["errors"][0]["message"], path)


@test(limit=180)
def report_flipped_bits():
    """Whatever bit is wrong: a clear error with the file's name, what comes before is reported, and the status is 1."""
    with folder() as d:
        path = f"{d}/record"
        rec.write(path, rec.info() + names(), *faults()[:3], rec.item(rec.END, 0))
        with open(path, "rb") as f:
            data = bytearray(f.read())
        for at in range(0, len(data), 3):
            data[at] ^= 1 << at % 8
            with open(path, "wb") as f:
                f.write(data)
            r = run("report", path, check=1)
            ok(f"{path}: corrupted at byte " in r.err or f"{path}: not a recording" in r.err, f"byte {at}: {r.err}")
            eq(r.err.count("\n"), 1, f"byte {at}: said once: {r.err}")
            data[at] ^= 1 << at % 8


@test
def report_corrupted():
    """Behind right checksums there may be anything."""
    with folder() as d:
        path, good = f"{d}/record", rec.info() + names()
        bad = {"no such thread": rec.block_of_fault(thread=9), "thread 0": rec.block_of_fault(thread=0),
               "no such mapping": rec.block_of_fault(mapping=3), "no such instruction": rec.block_of_fault(code=7),
               "a time too large": rec.block_of_fault(start=2**63), "a wait too large": rec.block_of_fault(wait=2**63),
               "half a fault": rec.block_of_fault()[:6], "a number too long": bytes([4]) + b"\xff" * 11,
               "a text too long": rec.item(rec.THREAD, 1, 1, "x" * 16), "a text with a 0": rec.item(rec.MAPPING, 1, 3, b"a\0b", 0),
               "a text past the end": bytes([8, 1, 3, 100]) + b"abc", "a kind that is none": rec.item(rec.SHAPE, 9, 1, 0, ""),
               "an ioctl with a blank": rec.item(rec.SHAPE, 1, 1, 0, "a b"), "a second head": rec.info(),
               "an ioctl too long": rec.item(rec.SHAPE, 1, 1, 0, "a" * 32), "a pid too large": rec.item(rec.THREAD, 2**31, 1, "x"),
               "items after the end": rec.item(rec.END, 0) + rec.item(rec.FORGET),
               "names that are forgotten": rec.item(rec.FORGET) + rec.block_of_fault()}
        for what, items in bad.items():
            rec.write(path, good, rec.block_of_fault(), items)
            r = run("report", "--json", path, check=1)
            contains(r.err, f"{path}: corrupted at byte ")
            eq((r.json()["report"]["recording"]["faults"], len(r.json()["errors"])), (1, 1), f"{what}: what is before it")
        rec.write(path, names())
        contains(run("report", path, check=1).err, "it does not say what was recorded")


@test
def report_newer():
    with folder() as d:
        path = f"{d}/record"
        rec.write(path, rec.info(), version=2)
        r = run("report", path, check=1)
        contains(r.err, "a recording of version 2")
        contains(r.err, "use the version that made it, or a newer one")
        rec.write(path, rec.info() + names(), rec.item(60))
        contains(run("report", path, check=1).err, "an item of kind 60")
        for other in ("/dev/null", d, f"{d}/none"):
            contains(run("report", other, check=1).err, other)
        contains(run("report", os.path.join(BUILD, "uffdctl"), check=1).err, "not a recording of uffdctl watch --record")


@test
def report_full_tables():
    """More mappings and instructions than are kept: the rest is counted, and that is said."""
    with folder() as d:
        path, n = f"{d}/record", 10000
        rec.write(path, rec.info(), *split(n), rec.item(rec.END, 0))
        r = report(path)
        eq((r["left_out"]["mappings"], r["left_out"]["instructions"], sum(r["faults"].values())), (n - 1023, n - 8192, n), "left out")
        contains(run("report", path, check=0).out, f"{n - 1023} faults of still others are not in this table, which is full with 1023")
        err = run("report", "--svg", path, check=0).err
        contains(err, f"{n - 24} faults are not in the picture")


@test
def report_last_address():
    """A mapping that is all of the last page: it has no end that fits in 64 bits."""
    with folder() as d:
        path = f"{d}/record"
        rec.write(path, rec.info(), rec.item(rec.THREAD, 1, 1, "t") + rec.item(rec.SHAPE, rec.MINOR, 1, 0, "")
                  + rec.item(rec.MAPPING, 1, rec.TEXT, "last", 0), rec.block_of_fault(addr=-256), rec.item(rec.END, 0))
        for form in ([], ["--json"], ["--html"], ["--svg"], ["--raw"]):
            contains(run("report", *form, path).out, "ffffff")


def split(n):
    """Blocks with n faults, each with a mapping and an instruction of its own."""
    yield rec.item(rec.THREAD, 1, 1, "t") + rec.item(rec.SHAPE, rec.MINOR, 1, 0, "")
    for first in range(0, n, 1000):
        items = b"".join(rec.item(rec.MAPPING, 1, rec.TEXT, f"m{i}", 0) + rec.item(rec.CODE, i, rec.NUMBER, "") for i in range(first, first + 1000))
        yield items
        for i in range(first, first + 1000):
            yield rec.block_of_fault(mapping=i + 1, code=i + 1, addr=GUEST + i * PAGE)


@test(limit=180)
def report_memory():
    """A large recording needs no more memory than a small one."""
    with folder() as d:
        env = {**os.environ, "UFFDCTL_TEST_RECORD": f"{d}/record:1000000"}
        subprocess.run([os.path.join(BUILD, "tests/lib/record"), "record-large"], env=env, check=True, stdout=subprocess.DEVNULL)
        for form in ([], ["--json"], ["--html"], ["--raw"]):
            with open(os.devnull, "w") as null:
                p = subprocess.Popen([UFFDCTL, "report", *form, f"{d}/record"], stdout=null, stderr=null)
                _, status, usage = os.wait4(p.pid, 0)
            eq(status, 0, "exit status")
            ok(usage.ru_maxrss < 200 << 10, f"{form}: {usage.ru_maxrss} KiB")


main()
