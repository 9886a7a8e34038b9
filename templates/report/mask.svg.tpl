$ -- The picture of a mask (gen/show/picture.c): tiles, and a detail that shows elements. Queries run
$ -- down, keys to the right. One unit is a pixel where the picture is 372 pixels wide.
$ -- a.p: the picture; a.attributes: of the root element; a.style: its first child, or "".
$ local p = a.p
$ local left, top = 62, 42
$ local bottom = top + p.height
$ local below = bottom + 28
$ local detail = p.detail_wanted and p.detail
$ local detail_top = below + 62
$ local height = detail and detail_top + detail.height + 8 or below + 28
<svg class="picture" viewBox="0 0 372 ${height}" role="img" aria-labelledby="${p.id}-title"
${a.attributes}
>
${a.style}
<title id="${p.id}-title">Mask of
${p.name}</title>
<text x="${left + p.width // 2}" y="13" text-anchor="middle">key position &#8594;</text>
<text transform="translate(10 ${top + p.height // 2}) rotate(-90)" text-anchor="middle"
>&#8592; query position</text>
$ for _, t in ipairs(p.key_ticks) do
<text class="soft" x="${left}" dx="${t.at}" y="${top - 8}" text-anchor="middle">${t.label}</text>
<path class="axis" transform="translate(${t.at} 0)" d="M${left} ${top}v-5"/>
$ end
$ for _, t in ipairs(p.query_ticks) do
<text class="soft" x="${left - 8}" y="${top + 4}" dy="${t.at}" text-anchor="end">${t.label}</text>
<path class="axis" transform="translate(0 ${t.at})" d="M${left} ${top}h-5"/>
$ end
<svg class="map" data-start="${p.start}"
 x="${left}" y="${top}" width="${p.width}" height="${p.height}"
 viewBox="0 0 ${p.kv_len} ${p.q_len}" preserveAspectRatio="none">
<g id="${p.id}">
<rect class="skipped" width="${p.kv_len}" height="${p.q_len}"/>
<path class="full" d="
${p.full_path}
"/>
<path class="partial" d="
${p.partial_path}
"/>
<path class="seen" d="
${p.seen_path}
"/>
</g>
<path class="grid" d="
${p.grid}
"/>
<rect class="edge" width="${p.kv_len}" height="${p.q_len}"/>
$ if detail then
<rect class="frame" x="${detail.x}" y="${detail.y}" width="${detail.keys}" height="${detail.rows}"/>
$ end
</svg>
$ local function key(x, y, class, label)
<rect class="${class}" x="${x}" y="${y - 10}" width="12" height="12"/>
<text x="${x + 17}" y="${y}">${label}</text>
$ end
$ if p.tiled then
$   key(4, below, "skipped", p.skipped .. " skipped")
$   key(128, below, "full", p.full .. " full")
$   key(236, below, "partial", p.partial .. " partial")
<text class="soft" x="4" y="${below + 20}">tiles of ${p.tile_queries} x ${p.tile_keys}; in partial
 ones:</text>
$   key(214, below + 20, "seen", "seen")
$   key(270, below + 20, "partial", "hidden")
$ else
$   key(4, below, "seen", "seen")
$   key(70, below, "skipped", "hidden, never read")
$ end
$ if detail then
<text class="label" x="4" y="${detail_top - 10}">Detail: queries ${detail.first_query} ..
 ${detail.last_query}, keys ${detail.x} .. ${detail.last_key}</text>
<svg class="loupe" x="${left}" y="${detail_top}" width="${p.width}" height="${detail.height}"
 viewBox="${detail.x} ${detail.y} ${detail.keys} ${detail.rows}" preserveAspectRatio="none">
<use href="#${p.id}"/>
</svg>
<svg x="${left}" y="${detail_top}" width="${p.width}" height="${detail.height}"
 viewBox="0 0 ${detail.keys} ${detail.rows}" preserveAspectRatio="none">
<path class="grid fine" d="
${detail.grid}
"/>
<rect class="frame" width="${detail.keys}" height="${detail.rows}"/>
</svg>
$ end
</svg>
