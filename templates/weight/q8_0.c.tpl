$ -- Weights in q8_0: 8 bits and a scale.
$ return hooks("weight/block.c").of({ name = "q8_0", halves = false, min = false, high = false, offset = false })
