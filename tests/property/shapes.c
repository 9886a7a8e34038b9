/* shapes.c - a row of the spec table as random problems, and random placements of them. */
#include "property.h"
#include <math.h>

void property_problem(arena *a, const property_spec *row, const kernel_spec *spec, rng *r,
                      int index, double max_work, call *out, const char **text) {
    const problem_options o = {.max_work = max_work,
                               .max_elements = INFINITY,
                               .longest = INT32_MAX,
                               .lo = row->lo,
                               .hi = row->hi,
                               .scalar_lo = row->lo,
                               .scalar_hi = row->hi,
                               .neg_inf = row->neg_inf,
                               .bad_visible = true,
                               .ragged = 35,
                               .placed = 30};
    problem_make(a, spec, &o, r, index, out, text);
}

placement property_placement(rng *r, int threads) {
    placement p = {.threads = threads, .at_start = rng_chance(r, 30)};
    for (int i = 0; i < 4; i++)
        p.order[i] = rng_chance(r, 50) ? HEAD_MAJOR : rng_int(r, 0, PLACEMENT_ORDERS - 1);
    for (int i = 0; i < 3; i++)
        if (rng_chance(r, 40)) p.gap[i] = rng_int(r, 1, 9);
    rng later = *r; /* draws that follow are as they were without */
    p.lists_by_item = rng_chance(&later, 50);
    return p;
}
