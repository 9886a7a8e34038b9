$ -- Of some rows and two vectors: products of a part of a block, or of a slice of it. a.dots: as in
$ -- integers.c; a.from, a.to: elements of the part.
$ local D = a.dots
$ if D.pairs then
$   for n = 0, 1 do
vi ${list(D.digits, function(c) return "z" .. n .. "_" .. c .. "[INT_ROWS]" end)};
$   end
EACH_ROW(m) {
$   for n = 0, 1 do
    ${list(D.digits, function(c) return "z" .. n .. "_" .. c .. "[i] = " end, "")}vi_set1(0);
$   end
}
$ end
${D.rolled}for (int32_t j = ${a.from}; j < ${a.to}; j += 4, codes += 4 * NR) {
    const vi u0 = vi_loadu((const void *)codes);
    const vi u1 = vi_loadu((const void *)(codes + 4 * W));
    ${lines(D.apart("u0"))}
    ${lines(D.apart("u1"))}
    EACH_ROW(m) {
        const integers *b = row[i] + k / 32;
$ for c = 0, D.digits - 1 do
$   for i, ending in ipairs(D.ends) do
        const vi x${c}${ending} = ${D.integers(c, i, a.at .. "j")};
$     for n = 0, 1 do
        z${n}_${c}[i] = ${D.add}(z${n}_${c}[i], u${n}${ending}, x${c}${ending});
$     end
$   end
$ end
    }
}
