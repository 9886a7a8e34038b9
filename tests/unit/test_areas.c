/* test_areas.c - what the runtime says of memory that arguments share, against every byte of it. */
#include "../../runtime/check.c"
#include "lab/problem.h"
#include <criterion/criterion.h>

enum { ROOM = 4096, LAYOUTS = 40000 };

/* A nest of loops with gaps, in any order of steps and either direction; repeats: now and then a
 * step of 0. */
static void draw(rng *r, attn_areas *list, uintptr_t base, bool repeats) {
    attn_area *a = attn_areas_add(list, "a", (const void *)base, rng_int(r, 1, 6));
    int64_t step = a->width + rng_int(r, 0, 4), low = 0;
    attn_dim dim[3];
    for (int i = 0; i < 3; i++) {
        dim[i] = (attn_dim){"step", rng_int(r, 1, 4), rng_chance(r, 30) ? -step : step};
        if (repeats && rng_chance(r, 20)) dim[i].stride = 0;
        if (dim[i].stride < 0) low += (dim[i].count - 1) * step;
        step = step * dim[i].count + rng_int(r, 0, 9);
    }
    a->at += (uintptr_t)low;
    const int first = rng_int(r, 0, 2);
    for (int i = 0; i < 3; i++) {
        const attn_dim *d = &dim[(first + i) % 3];
        attn_area_repeat(a, d->name, d->count, d->stride, 1);
    }
}

/* How often each byte is in a row of the area. */
static void mark(const attn_area *a, int dim, int64_t at, uint8_t *bytes) {
    if (dim == a->dims) {
        for (int64_t i = 0; i < a->width; i++) bytes[at + i]++;
        return;
    }
    for (int64_t i = 0; i < a->dim[dim].count; i++)
        mark(a, dim + 1, at + i * a->dim[dim].step, bytes);
}

Test(areas, as_bytes_say) {
    rng r = {7};
    int shared = 0, apart_within = 0, too_strict = 0;
    for (int n = 0; n < LAYOUTS; n++) {
        attn_areas list = {.count = 0};
        uint8_t bytes[2][ROOM] = {{0}};
        draw(&r, &list, 1, false);
        if (rng_chance(&r, 50)) { /* as fused buffers: the same steps, other rows */
            attn_area *b = attn_areas_add(&list, "b", NULL, 0);
            *b = list.area[0];
            b->at += (uintptr_t)rng_int(&r, 0, 40);
            b->width = rng_int(&r, 1, 6);
        } else {
            draw(&r, &list, (uintptr_t)rng_int(&r, 1, 400), true);
        }
        for (int i = 0; i < 2; i++) mark(&list.area[i], 0, (int64_t)list.area[i].at, bytes[i]);
        bool meets = false;
        for (int i = 0; i < ROOM; i++) meets |= bytes[0][i] && bytes[1][i];
        int64_t from[2], to[2];
        for (int i = 0; i < 2; i++) cr_assert(reach(&list.area[i], &from[i], &to[i]));
        list.area[0].written = true;
        const bool refused = attn_check_areas(NULL, &list) != ATTN_OK;
        cr_assert(refused || !meets, "layout %d: rows that meet are accepted", n);
        shared += meets;
        if (meets || from[0] >= to[1] || from[1] >= to[0]) continue;
        apart_within++;
        too_strict += refused;
    }
    /* The few that are refused are entangled: of no nest of loops. */
    cr_assert(shared > LAYOUTS / 10 && apart_within > LAYOUTS / 20,
              "%d meet, %d lie within each other", shared, apart_within);
    cr_assert(too_strict * 20 < apart_within, "%d of %d layouts apart are refused", too_strict,
              apart_within);
}

Test(areas, rows_that_overlap) {
    rng r = {9};
    for (int n = 0; n < LAYOUTS; n++) {
        attn_areas list = {.count = 0};
        uint8_t bytes[ROOM] = {0};
        draw(&r, &list, 1, false);
        attn_area *a = &list.area[0];
        a->written = true;
        const bool nested = !a->dims || rng_chance(&r, 50);
        if (!nested) a->dim[rng_int(&r, 0, a->dims - 1)].step /= 2;
        bool twice = false;
        mark(a, 0, ROOM / 2, bytes);
        for (int i = 0; i < ROOM; i++) twice |= bytes[i] > 1;
        const bool refused = attn_check_areas(NULL, &list) != ATTN_OK;
        cr_assert(refused || !twice, "layout %d: rows that overlap are accepted", n);
        cr_assert(!refused || !nested, "layout %d: rows apart are refused", n);
    }
}

Test(areas, strides_beyond_memory) {
    attn_areas list = {.count = 0};
    attn_area *a = attn_areas_add(&list, "a", &list, 4);
    attn_area_repeat(a, "a.token", 3, INT64_MAX / 2, 4);
    char text[ATTN_MESSAGE_MAX];
    const attn_why why = attn_why_begin(text, sizeof text);
    cr_assert_eq(attn_check_areas(&why, &list), ATTN_E_ARGUMENT);
    cr_assert_str_eq(text, "a does not fit the address space: its strides are too large");
}

/* Rows of 4 bytes in so many dimensions, from `steps` times the stride on. */
static bool refused(int64_t elements, int64_t count, size_t size, int64_t steps, int dims) {
    attn_areas list = {.count = 0};
    attn_area *a = attn_areas_add_from(&list, "a", &list, steps, elements, size, 4);
    for (int i = 0; i < dims; i++) attn_area_repeat(a, "step", count, elements, size);
    return attn_check_areas(NULL, &list) == ATTN_E_ARGUMENT;
}

/* Strides whose products, sums or offsets are more than 64 bits count, or any memory has. */
Test(areas, strides_near_the_end_of_64_bits) {
    static const int64_t ends[] = {INT64_C(1) << 57, INT64_C(1) << 60, (INT64_C(1) << 60) + 1,
                                   INT64_C(1) << 61, INT64_C(1) << 62, INT64_MAX};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t size = 1; size <= 8; size *= 2)
            for (int way = 0; way < 2; way++)
                for (int dims = 1; dims <= 4; dims++) {
                    const int64_t step = way ? -ends[i] : ends[i];
                    cr_assert(refused(step, 2, size, 0, dims), "2 rows %lld apart",
                              (long long)step);
                    cr_assert(refused(step, INT32_MAX, size, 0, dims));
                    cr_assert(refused(step, 1, size, 3, dims), "row 3, %lld apart",
                              (long long)step);
                    cr_assert(!refused(step, 1, size, 0, dims), "one row has no stride");
                }
    cr_assert(refused(INT64_MIN, 2, 4, 0, 1) && refused(INT64_MIN, 1, 4, 1, 1));
    cr_assert(!refused(INT64_C(1) << 54, 2, 4, 0, 1) && !refused(INT64_C(1) << 54, 1, 4, 1, 1));
    cr_assert(refused(INT64_C(1) << 54, 3, 4, 0, 3), "dimensions that add up to too much");
}
