$ -- Weights in q4_1: 4 bits, a scale and a minimum.
$ return hooks("weight/block.c").of({ name = "q4_1", halves = true, min = true, high = false, offset = false })
