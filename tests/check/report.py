"""Pages of attn-gen report and pictures of explain --svg: well-formed, alone in the world, the same
bytes every time, and their tiles and elements are the ones that explain counts."""
import glob
import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

GEN = sys.argv[1]
VOID = {"meta", "br", "link", "img", "input", "hr"}
FLEX = ["--heads=8", "--kv-heads=2", "--head-dim=64", "--backend=flex"]
# Masks beyond the built-in models'.
FLAGS = {
    "not causal": ["--heads=4", "--head-dim=32", "--causal=false"],
    "window 0": ["--op=sliding_self", "--heads=4", "--head-dim=32", "--window=0"],
    "both sides": ["--op=sliding_self", "--heads=4", "--head-dim=32", "--causal=false",
                   "--window=100", "--right-window=40"],
    "long window": ["--op=sliding_self", "--heads=4", "--head-dim=32", "--window=2000000000"],
    "segments in tiles": ["--op=segment_cross", "--heads=4", "--head-dim=32", "--lookback=40"],
    "dilated": FLEX + ["--mask=(q - k) % 3 == 0"],
    "crowded": FLEX + ["--causal=false", "--mask=(q * 7 + k * 5) % 3 == 0"],
    "heads differ": FLEX + ["--mask=q - k <= 16 * (h + 1)"],
    "heads and data": FLEX + ["--tensor=w=i32[heads]", "--tensor=t=f32[batch][kv_len]",
                              "--mask=q - k <= w[h] or t[b][k] > 0.9"],
    "document and prefix": FLEX + ["--tensor=doc=i32[kv_len]", "--scalar=n=i32",
                                   "--mask=doc[q] == doc[k] or k < n"],
    "score of -inf": FLEX + ["--causal=false", "--score=where(k <= q, s, -inf)"],
    "nothing visible": FLEX + ["--mask=k > q"],
    "one query": FLEX + ["--mask=k <= q", "--q-len=1", "--kv-len=1000"],
    "ragged edges": ["--op=sliding_self", "--heads=4", "--head-dim=32", "--window=99",
                     "--q-len=333", "--kv-len=555"],
    "more queries than keys": ["--heads=4", "--head-dim=32", "--q-len=300", "--kv-len=200"],
    "long name": ["--form=mla", "--op=sliding_self", "--backend=flex", "--heads=16", "--kv-comp-dim=512",
                  "--retr-dim=64", "--window=4095",
                  "--mask=k <= q"],
}
passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL:", what)


def run(*arguments):
    return subprocess.run([GEN, *arguments], capture_output=True, text=True, timeout=60)


class Page(html.parser.HTMLParser):
    """Tags in balance; ids, links, and what would load something."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.errors = [], [], [], []
        self.feed(text)
        self.close()
        if self.open:
            self.errors.append(f"never closed: {self.open}")

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href"):
                self.links.append(value)
            if name in ("src", "srcset", "data", "action"):
                self.errors.append(f"<{tag} {name}={value}> would load something")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> closes nothing at {self.getpos()}")


def rectangles(d):
    """Area and rectangles (x, y, width) of a path of polygons with sides along the axes."""
    area, rects = 0, []
    for piece in re.findall(r"M[^M]*", d):
        at = re.match(r"M(-?\d+) (-?\d+)", piece)
        x0, y0 = x, y = int(at[1]), int(at[2])
        twice, steps = 0, re.findall(r"([hv])(-?\d+)", piece)
        for axis, by in steps:
            x2, y2 = (x + int(by), y) if axis == "h" else (x, y + int(by))
            twice += x * y2 - x2 * y
            x, y = x2, y2
        area += abs(twice + x * y0 - x0 * y) // 2
        rects.append((x0, y0, int(steps[0][1]) if steps else 0))
    return area, rects


def by_class(svg, name):
    return [e for e in svg.iter() if e.get("class") == name]


def check_picture(svg, kernel, explained, what):
    """The picture against explain --json at its lengths."""
    _, _, keys, queries = map(int, by_class(svg, "map")[0].get("viewBox").split())
    plan = explained(queries, keys)[kernel]["plan"]
    count = plan.get("example", plan)
    full, full_runs = rectangles(by_class(svg, "full")[0].get("d"))
    _, some_runs = rectangles(by_class(svg, "partial")[0].get("d"))
    seen, _ = rectangles(by_class(svg, "seen")[0].get("d"))

    def tiles(runs):
        return sum((x + w - 1) // block - x // block + 1 for x, _, w in runs if w)

    said = {k: int(v) for v, k in re.findall(r"(\d+) (skipped|full|partial)<",
                                             ElementTree.tostring(svg, encoding="unicode"))}
    if not plan["gather_keys"]:  # gather kernels have no tiles
        block, rows = plan["key_block"], plan["tile_queries"]
        all_tiles = -(-keys // block) * -(-queries // rows)
        drawn = {"full": tiles(full_runs), "partial": tiles(some_runs)}
        drawn["skipped"] = all_tiles - drawn["full"] - drawn["partial"]
        want = {"skipped": count["tiles"]["none"], "full": count["tiles"]["all"],
                "partial": count["tiles"]["some"]}
        check(drawn == want, f"{what}: tiles drawn {drawn}, explain counts {want}")
        check(said == want, f"{what}: tiles in the legend {said}, explain counts {want}")
    if what.startswith(("crowded", "dilated", "heads")):  # elements are of the detail, or of head 0, alone
        check(full + seen < count["pairs"] * 2, f"{what}: {full + seen} elements drawn")
        return
    check(full + seen == count["pairs"],
          f"{what}: {full + seen} elements drawn, {count['pairs']} pairs visible")


def which_layers(words, count):
    """What the page's words for layers mean."""
    everyone = range(count)
    if words in ("All layers", "Even layers", "Odd layers"):
        return everyone[words == "Odd layers"::1 if words == "All layers" else 2]
    period = re.fullmatch(r"(Every|All layers but every) (\d+)..(?: layer)?,(?: from)? (\d+)"
                          r"(?: to (\d+))?", words)
    if period:
        every, step, first, last = period.groups()
        of = range(int(first), int(last or count - 1) + 1, int(step))
        return of if every == "Every" else [i for i in everyone if i not in of]
    return [i for a, b in re.findall(r"(\d+)(?: \.\. (\d+))?", words)
            for i in range(int(a), int(b or a) + 1)]


def check_page(name, arguments, folder):
    lengths = [a for a in arguments if a.startswith(("--q-len", "--kv-len"))]
    spec = [a for a in arguments if a not in lengths]

    def explained(queries, keys):
        out = run("explain", *spec, "--json", f"--q-len={queries}", f"--kv-len={keys}")
        return json.loads(out.stdout)["kernels"]

    path = os.path.join(folder, "report.html")
    out = run("report", *arguments, "-o", path)
    check(out.returncode == 0, f"{name}: {out.stderr}")
    if out.returncode:
        return
    text = open(path, encoding="utf-8").read()
    again = os.path.join(folder, "again.html")
    run("report", *arguments, "-o", again)
    check(open(again, encoding="utf-8").read() == text, f"{name}: other bytes the second time")

    page = Page(text)
    check(not page.errors, f"{name}: {page.errors[:3]}")
    check(not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), f"{name}: names a resource")
    check(len(set(page.ids)) == len(page.ids), f"{name}: an id stands twice")
    lost = [link for link in page.links if link[0] != "#" or link[1:] not in page.ids]
    check(not lost, f"{name}: links that lead nowhere: {lost[:3]}")

    model = json.loads(run("explain", *spec, "--json").stdout)
    rows = re.findall(r'<tr><td>\n(.*?)\n</td><td><a href="#kernel-(\d+)"', text, re.S)
    layers = {i: int(k) - 1 for words, k in rows
              for i in which_layers(" ".join(words.split()), len(model["layers"]))}
    names = [k["name"] for k in model["kernels"]]
    check([names[layers.get(i, -1)] for i in range(len(model["layers"]))] ==
          [layer["kernel"] for layer in model["layers"]], f"{name}: the table of layers")

    pictures = re.findall(r'<svg class="picture".*?\n</svg>\n(?=<figcaption)', text, re.S)
    # A layer around an attention has no tiles of its own; its core is a kernel of the list.
    drawn = [i for i, k in enumerate(model["kernels"]) if "core" not in k["plan"]]
    check(len(pictures) == len(drawn), f"{name}: {len(pictures)} pictures, {len(drawn)} kernels")
    for i, picture in zip(drawn, pictures):
        check_picture(ElementTree.fromstring(picture), i, explained, f"{name}, kernel {i + 1}")
    for plot in re.findall(r'<svg class="plot".*?</svg>', text, re.S):
        ok = True
        for points in ElementTree.fromstring(plot).iter("polyline"):
            xy = [tuple(map(float, p.split(","))) for p in points.get("points").split()]
            ok = ok and len(xy) > 20 and all(0 <= x <= 360 and 0 <= y <= 200 for x, y in xy)
        check(ok, f"{name}: a curve leaves its plot")

    svg = run("explain", *arguments, "--svg")
    root = ElementTree.fromstring(svg.stdout.replace('xmlns="http://www.w3.org/2000/svg"', "", 1))
    check("http" not in svg.stdout.replace("http://www.w3.org/2000/svg", "", 1),
          f"{name}: the picture names a resource")
    check_picture(root, model["kernels"].index(model["kernels"][layers[0]]), explained,
                  f"{name}, --svg")


def check_counts(folder):
    """Kernels are counted as one everywhere: those of attention inside layers too."""
    path = os.path.join(folder, "layers.html")
    layers = ["--level=block", "--d-model=32", "--heads=4", "--isa=portable"]
    said = [run("report", *layers, "-o", path).stdout, run("explain", *layers).stdout,
            run("generate", *layers, "-o", os.path.join(folder, "layers")).stdout,
            open(path, encoding="utf-8").read()]
    counts = [re.search(r"1 layer, (\d+) kernels?", text).group(1) for text in said]
    counts.append(str(len(json.loads(run("explain", *layers, "--json").stdout)["kernels"])))
    check(counts == ["2"] * len(counts), f"kernels of a layer: counted as {counts}")


def bytes_of(text):
    value, unit = re.fullmatch(r"([\d.]+) (k|M|G|T|P)?B", text).groups()
    return float(value) * {None: 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[unit]


def check_memory(folder):
    """Weights once, keys and values a user: as explain counts them."""
    path = os.path.join(folder, "memory.html")
    layers = ["--level=block", "--d-model=64", "--heads=4", "--isa=portable", "--kv-type=bf16"]
    run("report", *layers, "--users=1000000", "-o", path)
    text = open(path, encoding="utf-8").read()
    layer = next(k["plan"] for k in json.loads(run("explain", *layers, "--json").stdout)["kernels"]
                 if "packed_bytes" in k["plan"])
    weights = re.search(r"packed weights of all layers are (.*?),", " ".join(text.split())).group(1)
    check(abs(bytes_of(weights) / layer["packed_bytes"] - 1) < 0.006, f"packed weights: {weights}")
    table = text[text.index("1000000 users"):]
    rows = [re.findall(r'"number">([^<]*)<', row)[1:] for row in table.split("<tr>")[1:6]]
    for context, row in zip((512, 2048, 8192, 32768, 131072), rows):
        want = 1e6 * context * layer["cache_bytes_a_token"]
        check(abs(bytes_of(row[3]) / want - 1) < 0.006, f"memory of 1000000 users: {row}")
        more = (bytes_of(row[2]) - bytes_of(row[1])) / (56 * context * layer["cache_bytes_a_token"])
        check(abs(more - 1) < 0.02, f"memory of 56 more users: {row}")


def check_context(folder):
    """A context that is asked for: explain's lines, its JSON and the report's rows say the same."""
    path = os.path.join(folder, "context.html")
    model = ["tests/golden/model/llama", "--isa=portable", "--context=3000"]
    run("report", *model, "-o", path)
    page = open(path, encoding="utf-8").read()
    memory = json.loads(run("explain", *model, "--json").stdout)["memory"]
    text = run("explain", *model).stdout
    said = memory["context"]
    check(said["cache_bytes"] == 3000 * memory["cache_bytes_a_token"], f"context: {said}")
    check(f"a context of 3000 tokens: {said['cache_bytes']:.0f} bytes of keys and values" in text,
          f"context: {text[:600]}")
    check(f"in all, for one user: "
          f"{memory['packed_bytes'] + said['cache_bytes'] + said['prompt_workspace_bytes']:.0f} bytes"
          in text, f"context: {text[:600]}")
    tables = {t["name"]: (t["rows"], t["columns"], t["type"]) for t in memory["tables"]}
    check(tables == {"embedding": (61, 32, "file"), "head": (61, 32, "file")}, f"tables: {tables}")
    for line in ("embedding: 61 x 32, as the file has it: 7808 bytes in f32, 3904 bytes in bf16",
                 "head: 61 x 32"):
        check(line in text, f"{line}: not in {text[:600]}")
    check("Embedding: 61 x 32, as the file has it: 7.81 kB in f32" in page, "report: no embedding")
    rows = re.findall(r'<tr><td class="number">3000</td>(.*?)</tr>', page, re.S)
    # Three tables of all layers, and two of the one kernel.
    check(len(rows) == 5, f"report: {len(rows)} rows of a context of 3000")
    cells = re.findall(r'"number">([^<]*)<', rows[0])
    for cell, want in zip((bytes_of(cells[1]), bytes_of(cells[2])),
                          (said["token_bytes"], said["cache_bytes"])):
        check(abs(cell / want - 1) < 0.006, f"report: {cells}, explain: {said}")


def check_around(folder):
    """What a whole model has around its layers; nothing of layers alone."""
    path = os.path.join(folder, "around.html")
    for model, want in {"tests/golden/model/llama": {"vocab": "61", "head": "own"},
                        "tests/product/layer.lua": {}}.items():
        run("report", model, "--isa=portable", "-o", path)
        text = open(path, encoding="utf-8").read()
        section = re.search(r"<h2>Around the layers</h2>(.*?)<h2>", text, re.S)
        rows = dict(re.findall(r"<code>(\w+)</code></td><td>\n(.*?)\n", section[1])) if section else {}
        check(bool(section) == bool(want) and want.items() <= rows.items(), f"{model}: {rows}")
        check(not Page(text).errors, f"{model}: {Page(text).errors[:3]}")
    os.remove(path)


def check_refusals(folder):
    path = os.path.join(folder, "none.html")
    for text, arguments in {
        "nosuch: neither": ["report", "nosuch", "-o", path],
        "--head-dim": ["report", "--heads=4", "-o", path],
        "--q-len: the picture of a mask takes 1 .. 16384": ["report", "tiny", "--q-len=0", "-o",
                                                            path],
        "--kv-len: the picture": ["explain", "tiny", "--svg", "--kv-len=16385", "-o", path],
        "--users: must be an integer from 1 to 2147483647": ["report", "tiny", "--users=0", "-o", path],
        "--context: must be 1 .. 16777216, got 0": ["report", "tiny", "--context=0", "-o", path],
        "--context: must be 1 .. 16777216, got 16777217": ["explain", "tiny", "--context=16777217"],
        "--layer: tiny has the layers 0 .. 1, got 2": ["explain", "tiny", "--svg", "--layer=2",
                                                       "-o", path],
        "cannot": ["report", "tiny", "-o", "/dev/null/report.html"],
        folder + ": cannot write": ["report", "tiny", "-o", folder],
    }.items():
        out = run(*arguments)
        check(out.returncode == 2 and text in out.stderr, f"{arguments}: {out.stderr}")
        check(not out.stdout, f"{arguments}: prints {out.stdout[:40]}")
    check(os.listdir(folder) == [], f"an error left {os.listdir(folder)}")


with tempfile.TemporaryDirectory() as folder:
    check_refusals(folder)
    check_counts(folder)
    check_memory(folder)
    check_context(folder)
    check_around(folder)
    for file in sorted(glob.glob("gen/models/*.lua")) + ["tests/product/my.lua"]:
        check_page(file, [file], folder)
    for name, flags in FLAGS.items():
        check_page(name, flags, folder)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
