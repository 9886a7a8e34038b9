$ -- Weights in q4_k: 4 bits; scales and minima of 32 in 6 bits.
$ return hooks("weight/block.c").of(plan.types.q4_k)
