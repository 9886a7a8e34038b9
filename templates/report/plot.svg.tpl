$ -- Lines over context length, both axes logarithmic (gen/show/report.c). Read as a.
$ local dashes = { "", "7 3", "2 3", "9 3 2 3", "5 5" }
$ local height = a.bottom + 44 + (#a.lines > 1 and 18 * ((#a.lines + 1) // 2) or 0)
<svg class="plot" viewBox="0 0 360 ${height}" role="img" aria-label="${a.title}">
<text x="4" y="13">${a.title}</text>
$ for _, t in ipairs(a.y_ticks) do
<path class="axis" d="M${a.left} ${t.at}H${a.right}"/>
<text class="soft" x="${a.left - 6}" y="${t.at}" dy="4" text-anchor="end">${t.label}</text>
$ end
$ for _, t in ipairs(a.x_ticks) do
<path class="axis" d="M${t.at} ${a.top}V${a.bottom + 4}"/>
<text class="soft" x="${t.at}" y="${a.bottom + 18}" text-anchor="middle">${t.label}</text>
$ end
<text class="soft" x="${a.right}" y="${a.bottom + 35}" text-anchor="end">context, tokens</text>
$ for i, line in ipairs(a.lines) do
<polyline class="curve" stroke="var(--c${i})" stroke-dasharray="${dashes[i]}" points="
${line.points}
"/>
$   if #a.lines > 1 then
$     local x, y = 4 + (i - 1) % 2 * 176, a.bottom + 54 + (i - 1) // 2 * 18
<path class="curve" stroke="var(--c${i})" stroke-dasharray="${dashes[i]}" d="M${x} ${y - 4}h28"/>
<text x="${x + 34}" y="${y}">${line.label}</text>
$   end
$ end
</svg>
