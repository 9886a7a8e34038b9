$ -- Weights in q8_0: 8 bits and a scale.
$ return hooks("weight/block.c").of(plan.types.q8_0)
