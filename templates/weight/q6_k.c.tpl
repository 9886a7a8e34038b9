$ -- Weights in q6_k: 6 bits; scales of 16 in 8 bits.
$ return hooks("weight/block.c").of(plan.types.q6_k)
