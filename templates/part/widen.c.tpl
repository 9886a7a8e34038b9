$ -- Rows of stored keys and values as f32, for tiles: widened once for all tiles of a query block.
$ local layout = hooks("layout/" .. plan.layout .. ".c")
$ local W = plan.width
/* A key block that starts here: none of its rows is widened yet. */
static inline void widen_begin(scratch *w, int32_t base) {
    w->has_k = w->has_v = (widened){base, base, base - 1};
}
$ for _, name in ipairs { "k", "v" } do
$   local type = plan.type[name]
$   local D, ld = name == "k" and "D" or "DV", name == "k" and "D" or "DVP"
$   local width = name == "k" and plan.d or plan.dv
$   local main = width // W * W

static inline void widen_${name}_row(float *restrict to, const ${type.c} *restrict from) {
$   if main > 0 then
    for (int d = 0; d < ${main}; d += W) vf_storeu(to + d, vf_loadu${type.suffix}(from + d));
$   end
$   if main < width and name == "k" then
    vf_storen(${at("to", main)}, vf_loadn${type.suffix}(${at("from", main)}, ${width - main}), ${width - main});
$   elseif main < width then
    vf_storeu(${at("to", main)}, vf_loadn${type.suffix}(${at("from", main)}, ${width - main}));
$   end
}

/* Puts the rows of the keys first..last to w->${name}; ${name} stands at key 0. */
static void widen_${name}(const item *x, scratch *w, ${layout.rows(type.c)}${name}, int32_t first, int32_t last) {
    const ptrdiff_t ld${name} = ${layout[name .. "_step"]("x->args->" .. name .. ".")};
    widened *has = &w->has_${name};
    if (has->first > has->last) has->first = first, has->last = first - 1;
    for (; has->first > first; has->first--)
        widen_${name}_row(w->${name} + (has->first - 1 - has->base) * ${ld}, ${layout[name .. "_at"](name, "(has->first - 1)", "ld" .. name)});
    for (; has->last < last; has->last++)
        widen_${name}_row(w->${name} + (has->last + 1 - has->base) * ${ld}, ${layout[name .. "_at"](name, "(has->last + 1)", "ld" .. name)});
}
$ end
