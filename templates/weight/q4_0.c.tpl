$ -- Weights in q4_0: 4 bits and a scale.
$ return hooks("weight/block.c").of(plan.types.q4_0)
