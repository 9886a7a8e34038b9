/* plot.c - the plot's points as SVG: share of the FMA peak over sequence lengths, and share of the
 * read bandwidth over key counts. */
#include "bench.h"
#include "plan/isa.h"
#include <stdio.h>

static const char *const colour[SERIES_COUNT] = {"#1b5e9b", "#5aa0d8", "#b3471f",
                                                 "#e2915f", "#1b5e9b", "#b3471f"};
enum { WIDTH = 1100, HEIGHT = 470, TOP = 96, BOTTOM = 400, PANEL_WIDTH = 360, LABEL_GAP = 15 };

/* A diagram: its place, and the series that it draws. */
typedef struct panel {
    const char *title, *x_label;
    int left, first, end; /* pixels; series first..end - 1 */
    int low, high;        /* lengths */
    double top;           /* percent */
} panel;

static double share(const bench *b, const entry *e) {
    return e->c->q_len == 1 ? entry_percent_of_read(b, e) : entry_percent_of_peak(b, e);
}

static double x_at(const panel *p, double length) {
    return p->left + PANEL_WIDTH * log2(length / p->low) / log2((double)p->high / p->low);
}

static double y_at(const panel *p, double percent) {
    return BOTTOM - (BOTTOM - TOP) * percent / p->top;
}

static void line(FILE *f, double x0, double y0, double x1, double y1, const char *style) {
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x0, y0, x1, y1,
            style);
}

static void text(FILE *f, double x, double y, const char *style, const char *s) {
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y, style, s);
}

static void length_text(char *to, size_t size, int n) {
    if (n >= 1024)
        snprintf(to, size, "%dk", n / 1024);
    else
        snprintf(to, size, "%d", n);
}

static void axes(FILE *f, const panel *p, const char *y_label) {
    char s[64];
    const double right = p->left + PANEL_WIDTH;
    text(f, p->left, TOP - 28, "font-weight=\"bold\"", p->title);
    text(f, p->left, TOP - 12, "fill=\"#555\" font-size=\"12\"", y_label);
    for (int percent = 0; percent <= p->top; percent += 20) {
        const double y = y_at(p, percent);
        line(f, p->left, y, right, y,
             percent == 100 ? "stroke=\"#888\" stroke-dasharray=\"4 3\"" : "stroke=\"#e4e4e4\"");
        snprintf(s, sizeof s, "%d%%", percent);
        text(f, p->left - 8, y + 4, "text-anchor=\"end\" fill=\"#555\" font-size=\"12\"", s);
    }
    for (int n = p->low; n <= p->high; n *= 2) {
        const double x = x_at(p, n);
        line(f, x, BOTTOM, x, BOTTOM + 5, "stroke=\"#888\"");
        length_text(s, sizeof s, n);
        text(f, x, BOTTOM + 20, "text-anchor=\"middle\" fill=\"#555\" font-size=\"12\"", s);
    }
    line(f, p->left, BOTTOM, right, BOTTOM, "stroke=\"#888\"");
    text(f, p->left + PANEL_WIDTH / 2.0, BOTTOM + 42, "text-anchor=\"middle\"", p->x_label);
}

/* Draws a series, and returns the share of its longest length; below 0 if it has no points. */
static double draw_series(FILE *f, const bench *b, const panel *p, int series, attn_isa isa) {
    double last = -1;
    for (int pass = 0; pass < 2; pass++) { /* the line, then its points */
        if (pass == 0) fputs("<polyline points=\"", f);
        for (int i = 0; i < b->count; i++) {
            const entry *e = &b->entry[i];
            if (e->c->series != series || e->isa != isa) continue;
            last = share(b, e);
            const double x = x_at(p, e->c->kv_len), y = y_at(p, last);
            if (pass == 0)
                fprintf(f, "%.1f,%.1f ", x, y);
            else
                fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x, y,
                        colour[series]);
        }
        if (pass == 0)
            fprintf(f, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", colour[series]);
    }
    return last;
}

/* Names at the ends of their lines, in the order of the ends, moved apart where they would meet. */
static void draw_labels(FILE *f, const panel *p, const double *last) {
    int order[SERIES_COUNT], count = 0;
    for (int s = p->first; s < p->end; s++) {
        int at = count++;
        for (; at > 0 && last[order[at - 1]] < last[s]; at--) order[at] = order[at - 1];
        order[at] = s;
    }
    double below = -1e9;
    for (int i = 0; i < count; i++) {
        const int s = order[i];
        if (last[s] < 0) continue;
        char style[64];
        double y = y_at(p, last[s]) + 4;
        if (y < below + LABEL_GAP) y = below + LABEL_GAP;
        snprintf(style, sizeof style, "fill=\"%s\" font-size=\"13\"", colour[s]);
        text(f, p->left + PANEL_WIDTH + 9, y, style, series_label[s]);
        below = y;
    }
}

static void draw_panel(FILE *f, const bench *b, panel *p, attn_isa isa, const char *y_label) {
    double last[SERIES_COUNT];
    p->top = 100;
    for (int i = 0; i < b->count; i++) {
        const entry *e = &b->entry[i];
        if (e->c->series < p->first || e->c->series >= p->end || e->isa != isa) continue;
        while (share(b, e) > p->top && p->top < 400) p->top += 20;
    }
    axes(f, p, y_label);
    for (int s = p->first; s < p->end; s++) last[s] = draw_series(f, b, p, s, isa);
    draw_labels(f, p, last);
}

static void draw(FILE *f, const bench *b, const entry *any, const char *isa) {
    char y_label[128], heading[400];
    panel prefill = {
        "Prefill, 4 heads, one thread", "sequence length", 70, 0, SERIES_PREFILL, 128, 4096, 0};
    panel decode = {"Decode, 32 heads over 8, D128, caches emptied",
                    "keys",
                    620,
                    SERIES_PREFILL,
                    SERIES_COUNT,
                    512,
                    65536,
                    0};
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\" font-family=\"Helvetica, Arial, sans-serif\" "
            "font-size=\"14\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" "
            "fill=\"#fff\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    snprintf(heading, sizeof heading, "attn-gen, %s, f32, on %s: best of %d rounds", isa,
             b->machine, b->rounds);
    text(f, 30, 34, "font-size=\"17\" font-weight=\"bold\"", heading);
    snprintf(y_label, sizeof y_label, "useful FLOPs, share of the FMA peak (%.0f GF/s)",
             series_quantile(&bench_peak(b, 1)->fma[any->isa], 1));
    draw_panel(f, b, &prefill, any->isa, y_label);
    snprintf(y_label, sizeof y_label, "K and V once, share of the read bandwidth (%.1f GB/s)",
             series_quantile(&bench_peak(b, 1)->read, 1));
    draw_panel(f, b, &decode, any->isa, y_label);
    fputs("</svg>\n", f);
}

bool plot_svg(const bench *b, const char *path) {
    const entry *any = NULL; /* the last, of the widest ISA */
    for (int i = 0; i < b->count; i++)
        if (b->entry[i].c->series >= 0) any = &b->entry[i];
    FILE *f = any ? fopen(path, "w") : NULL;
    if (!f) {
        fprintf(stderr, "bench: %s: %s\n", path, any ? "cannot write" : "no points to draw");
        return false;
    }
    draw(f, b, any, isa_table[any->isa].name);
    const bool ok = !ferror(f);
    return fclose(f) == 0 && ok;
}
