$ -- The page of attn-gen report. Numbers come from gen/show/report.c; the page loads nothing.
$ local p = page
$ local function plural(n, word)
$   return n .. " " .. (n == 1 and word or word == "query" and "queries" or word .. "s")
$ end
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${p.name}: attention kernels</title>
<style>
${part("report/style.css")}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 16px; max-width: 920px;
  background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
}
h1, h2, h3 { line-height: 1.25; }
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.5rem 0; max-width: 44rem; }
a { color: var(--full); }
code { font: 0.85em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.soft, figcaption { color: var(--soft); font-size: 0.9rem; }
.scroll {
  overflow-x: auto; border: 1px solid var(--line); border-radius: 6px;
  background: linear-gradient(90deg, var(--paper) 30%, transparent) 0 0 / 40px 100% local,
    linear-gradient(270deg, var(--paper) 30%, transparent) 100% 0 / 40px 100% local,
    linear-gradient(90deg, var(--shade), transparent) 0 0 / 12px 100%,
    linear-gradient(270deg, var(--shade), transparent) 100% 0 / 12px 100%, var(--paper);
  background-repeat: no-repeat;
}
.scroll + .scroll { margin-top: 0.75rem; }
.tall { max-height: 20rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { padding: 0.35rem 0.6rem; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid var(--line); }
.tall th { background: var(--panel); position: sticky; top: 0; }
tr + tr.under td { border: 0; padding-top: 0; }
tr + tr:not(.under) td { border-top: 1px solid var(--line); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.number small { display: block; color: var(--soft); }
.name { min-width: 11rem; }
dl { margin: 0.5rem 0; max-width: 44rem; }
dt { font-weight: 600; font-size: 0.9rem; margin-top: 0.5rem; }
dd { margin: 0; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; font-weight: 600; padding: 0.25rem 0; }
section.kernel { border-top: 2px solid var(--line); margin-top: 2.5rem; }
figure { margin: 0; display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; }
figure > * { flex: 1 1 300px; min-width: 0; }
figcaption { max-width: 440px; }
svg.picture, svg.plot { display: block; width: 100%; max-width: 440px; height: auto; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.pair > * { flex: 1 1 300px; min-width: 0; max-width: 440px; }
@media (max-width: 480px) {
  table { font-size: 0.8rem; }
  th, td { padding: 0.3rem 0.25rem; }
  body { padding: 12px; }
}
.movable .map { cursor: crosshair; }
</style>
</head>
<body>
<header>
<h1>Attention of
${p.heading}
</h1>
<p>${plural(p.layer_count, "layer")}, ${plural(p.kernel_count, "kernel")}, for ${p.isas}.
$ if p.inner_count > 0 then
${p.inner_count} of them: attention inside layers, shown with their layers.
$ end
Numbers that depend on tiles are those of ${p.isa}. Tensors are f32 but where a kernel says
otherwise.</p>
</header>

<h2>Layers</h2>
<div class="scroll tall"><table>
<tr><th>Layers</th><th>Kernel</th><th>What it is</th></tr>
$ for _, l in ipairs(p.layers) do
<tr><td>
${l.which}
</td><td><a href="#kernel-${l.kernel}">kernel&#160;${l.kernel}</a></td><td>
${l.words}
</td></tr>
$ end
</table></div>
$ if #p.around > 0 then

<h2>Around the layers</h2>
<p>The model's own parts before and after them, which its call computes too; costs and memory below
are those of the layers.</p>
<div class="scroll"><table>
<tr><th>Field</th><th>Value</th><th>Meaning</th></tr>
$   for _, f in ipairs(p.around) do
<tr><td><code>${f.name}</code></td><td>
${f.value}
</td><td>
${f.help}
</td></tr>
$   end
</table></div>
$ end

<h2>What a token costs</h2>
<p>One new token at the end of a context: its query against the cached keys, through the attention
of all layers, batch 1; in whole layers every weight counts once, too. FLOPs are useful ones:
2 (D + D<sub>V</sub>) a visible pair of query and key. Bytes are those of Q, O, and of the K and V
that are read, once each.
$ if p.bound then
Kernels whose mask depends on run-time data count as if all of it were visible: theirs are upper
bounds.
$ end
</p>
<div class="pair">
${part("report/plot.svg", p.flops)}
${part("report/plot.svg", p.bytes)}
</div>
<div class="scroll"><table>
<tr><th class="number">Context,<br>tokens</th><th class="number">FLOPs<br>a token</th>
<th class="number">Bytes<br>a token</th><th class="number">KV cache,<br>${p.cache_type}</th></tr>
$ for _, r in ipairs(p.totals) do
<tr><td class="number">${r.context}</td><td class="number">${r.flops}</td>
<td class="number">${r.bytes}</td><td class="number">${r.cache}</td></tr>
$ end
</table></div>
<div class="scroll"><table>
<tr><th class="number">Context,<br>tokens</th><th class="number">Workspace,<br>a token</th>
<th class="number">Workspace,<br>a prompt</th></tr>
$ for _, r in ipairs(p.totals) do
<tr><td class="number">${r.context}</td><td class="number">${r.step}</td>
<td class="number">${r.prefill}</td></tr>
$ end
</table></div>
<p class="soft">Workspace is for one new token, and for a prompt as long as the context, on one
thread. Layers that run one after the other can share it: the largest is shown. Heap: 0 bytes. A
run allocates nothing.
$ if p.layer_count > 1 then
The cache is that of all layers, nothing dropped; one of a sliding window may keep its window alone.
$ end
</p>

<h2>What memory it takes</h2>
<p>
$ if p.whole then
The packed weights of all layers are ${p.weights}, once for all users.
$   for _, t in ipairs(p.tables) do
${t.text}.
$   end
$   if #p.tables > 0 then
What stands around the layers is there once, too, and not in the table.
$   end
$ else
These kernels have no weights of their own.
$ end
A user's keys and values are ${p.token} a token (${p.cache_type}). The table adds up both, for users
whose contexts are full, and the workspace of one user's prompt.</p>
<div class="scroll"><table>
<tr><th class="number">Context,<br>tokens</th>
$ for _, u in ipairs(p.users) do
<th class="number">${u.text}</th>
$ end
</tr>
$ for _, r in ipairs(p.memory) do
<tr><td class="number">${r.context}</td>
$   for _, c in ipairs(r.cells) do
<td class="number">${c.text}</td>
$   end
</tr>
$ end
</table></div>

$ for _, k in ipairs(p.kernels) do
<section class="kernel" id="kernel-${k.number}">
<h2>Kernel ${k.number}</h2>
<p>
${k.words}
</p>
<p class="soft">Its name: <code>
${k.name}
</code></p>

<h3>What it computes</h3>
<dl>
$   for _, f in ipairs(k.facts) do
<dt>${f.topic}</dt>
<dd>
${f.code and "<code>" or ""}
${f.text}
${f.code and "</code>" or ""}
</dd>
$   end
</dl>
<details>
<summary>Lengths, padding, NaN, accuracy</summary>
<dl>
$   for _, f in ipairs(k.rules) do
<dt>${f.topic}</dt>
<dd>
${f.text}
</dd>
$   end
</dl>
</details>

<h3>Its mask</h3>
$   local m = k.picture
$   local movable = m.detail_wanted and not m.detail.fixed
<figure class="${movable and "movable" or "still"}">
${part("report/mask.svg", { p = m, attributes = "", style = "" })}
<figcaption>
${plural(m.q_len, "query")} by ${plural(m.kv_len, "key")} as an example: ${m.pairs} visible
pairs a head, ${m.share} % of all.
$   if m.tiled then
The kernel works in tiles of ${m.tile_queries} queries by ${m.tile_keys} keys (${m.isa}). It skips
those that show nothing, runs full ones without a test, and tests each pair of partial ones. No mask
tensor exists.
$   else
Each query fetches its own keys, at most ${m.gather_keys}: there are no tiles.
$   end
${m.remarks}
Masks, padding and lengths that a call brings are not drawn: they only hide more.
$   if movable then
<span class="hint" hidden>Tap the picture to move the detail.</span>
$   end
</figcaption>
</figure>

<h3>Resource certificate</h3>
<div class="scroll"><table>
<tr><th class="number">Context,<br>tokens</th><th class="number">FLOPs<br>a token</th>
<th class="number">Bytes<br>a token</th></tr>
$   for _, r in ipairs(k.costs) do
<tr><td class="number">${r.context}</td><td class="number">${r.flops}</td>
<td class="number">${r.bytes}</td></tr>
$   end
</table></div>
<div class="scroll"><table>
<tr><th class="number">Context,<br>tokens</th><th class="number">Workspace,<br>a token</th>
<th class="number">Workspace,<br>a prompt</th></tr>
$   for _, r in ipairs(k.costs) do
<tr><td class="number">${r.context}</td><td class="number">${r.step}<small>${r.step_exact} B</small></td>
<td class="number">${r.prefill}<small>${r.prefill_exact} B</small></td></tr>
$   end
</table></div>
$   if k.whole then
<p>Packed weights: ${k.weights}, once for all users:
${k.types}.</p>
$   end
<p>Heap: 0 bytes. A run allocates nothing; the caller owns the workspace.</p>
<p class="soft">One layer, batch 1, one thread, ${k.isa}. Workspace is for one new token, and for a
prompt as long as the context. A token adds ${k.cache} of K and V.
$   if k.bound then
What it sees depends on run-time data: FLOPs and bytes are upper bounds.
$   end
</p>
<div class="pair">
${part("report/plot.svg", k.flops)}
${part("report/plot.svg", k.bytes)}
</div>
$   if k.uneven then
<p class="soft">What a token costs goes up and down because its mask depends on where it stands; the
lines join ${k.plot_points} contexts.</p>
$   end
<h3>Code</h3>
<div class="scroll"><table>
<tr><th>For</th><th class="number">${k.gathers and "Fetches" or "Tile,<br>queries x keys"}</th>
<th class="number">C source</th><th class="number">Workspace<br>a thread</th></tr>
$   for _, i in ipairs(k.isas) do
<tr><td>${i.name}</td><td class="number">${i.tile}</td><td class="number">${i.source}</td>
<td class="number">${i.thread}</td></tr>
<tr class="under"><td colspan="4"><code>
${i.file}
</code></td></tr>
$   end
</table></div>
<details>
<summary>Why it is built this way (${k.isa})</summary>
<ul>
$   for _, n in ipairs(k.notes) do
<li>
${n.text}
</li>
$   end
</ul>
</details>
<details>
<summary>Its spec, field by field</summary>
<div class="scroll"><table>
<tr><th>Field</th><th>Value</th><th>Meaning</th></tr>
$   for _, f in ipairs(k.fields) do
<tr><td><code>${f.name}</code></td><td><code>${f.value}</code></td><td class="name">
${f.help}
</td></tr>
$   end
</table></div>
</details>
</section>

$ end
<footer>
<p class="soft">Written by attn-gen ${p.version}. This page loads nothing and stands alone.</p>
</footer>
<script>
${part("report/zoom.js")}
</script>
</body>
</html>
