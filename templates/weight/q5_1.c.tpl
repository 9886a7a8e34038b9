$ -- Weights in q5_1: 5 bits, a scale and a minimum.
$ return hooks("weight/block.c").of({ name = "q5_1", halves = true, min = true, high = true, offset = false })
