$ -- Weights in q4_1: 4 bits, a scale and a minimum.
$ return hooks("weight/block.c").of(plan.types.q4_1)
