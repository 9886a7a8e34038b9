$ -- Weights in q5_0: 5 bits and a scale.
$ return hooks("weight/block.c").of({ name = "q5_0", halves = true, min = false, high = true, offset = 16 })
