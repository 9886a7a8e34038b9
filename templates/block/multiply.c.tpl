$ -- Rows of a task times its panels. a.of: elements of rows, which start at a.from, a.lda apart; those
$ -- of a head a.step further (false: of one matrix for all). a.gemm: the product.
const ${a.of} *from = ${a.from};
from += (int64_t)first * (${a.lda});
$ if a.step then
from += h * ${a.step};
$ end
${a.gemm}(from, ${a.lda}, rows, w, K, panels, &l->work[worker]);
