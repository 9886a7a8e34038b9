$ -- Weights in q4_0: 4 bits and a scale.
$ return hooks("weight/block.c").of({ name = "q4_0", halves = true, min = false, high = false, offset = 8 })
