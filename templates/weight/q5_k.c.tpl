$ -- Weights in q5_k: 5 bits; scales and minima of 32 in 6 bits.
$ return hooks("weight/block.c").of(plan.types.q5_k)
