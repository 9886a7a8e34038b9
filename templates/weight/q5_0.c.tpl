$ -- Weights in q5_0: 5 bits and a scale.
$ return hooks("weight/block.c").of(plan.types.q5_0)
