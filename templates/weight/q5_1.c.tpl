$ -- Weights in q5_1: 5 bits, a scale and a minimum.
$ return hooks("weight/block.c").of(plan.types.q5_1)
