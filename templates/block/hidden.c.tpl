$ -- What becomes of a first product's columns. a.head: the function's; a.h: row i's hidden row;
$ -- a.bias: of the columns, or false; a.f: the activation.
$ local f = a.f
$ local more = f == "xielu" and ", l->w + XIELU_AT" or ""
$ if plan.gated then
/* Panels of gate and up alternate: h = ${f == "clamped" and "glu(gate, up)" or f .. "(gate) * up"}. */
${a.head}
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        float *h = ${a.h};
        for (int32_t c = 0; c < cols; c += 2 * NR)
            for (int32_t j = 0; j < NR; j += W) {
                vf g = vf_loadu(t + c + j), u = vf_loadu(t + c + NR + j);
$   if a.bias then
                const float *bias = ${a.bias} + col + c + j;
                g = vf_add(g, vf_load(bias));
                u = vf_add(u, vf_load(bias + NR));
$   end
                vf_storeu(h + (col + c) / 2 + j, ${f == "clamped" and "glu(g, u)" or "vf_mul(" .. f .. "(g), u)"});
            }
    }
}
$ else
/* h = ${f}(up) */
${a.head}
    for (int32_t i = 0; i < rows; i++, t += ldt) {
        float *h = ${a.h};
        for (int32_t c = 0; c < cols; c += W) { /* t has whole panels, h whole rows of them */
            vf g = vf_loadu(t + c);
$   if a.bias then
            g = vf_add(g, vf_loadu(${a.bias} + col + c));
$   end
            vf_storeu(h + col + c, ${f}(g${more}));
        }
    }
}
$ end
