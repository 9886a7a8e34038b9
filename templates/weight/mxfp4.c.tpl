$ -- Weights in mxfp4: E2M1, 4 bits, and a power of two.
$ return hooks("weight/block.c").of(plan.types.mxfp4)
