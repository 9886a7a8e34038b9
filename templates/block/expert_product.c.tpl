$ -- Rows times some panels of an expert's matrix a.m, into s->t: a.floats, a.ints: the first rows and
$ -- how far apart they lie, as either; a.either: what the call is in, `floats` says.
$ local function product(ints)
$   return "gemm" .. (ints and "_ints" or "") .. a.m.type.suffix .. "(" .. (ints and a.ints or a.floats) .. ", " .. a.rows .. ", " .. a.w .. ", K, panels, s);"
$ end
$ if a.m.integers and a.either then
if (floats)
    ${product(false)}
else
    ${product(true)}
$ else
${product(a.m.integers)}
$ end
