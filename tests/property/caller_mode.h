/* caller_mode.h - floating-point modes that a caller may run in: other roundings, subnormal numbers
 * flushed, every exception a trap. Runs must neither use them nor change them. */
#ifndef PROPERTY_CALLER_MODE_H
#define PROPERTY_CALLER_MODE_H

#include <fenv.h>
#include <stdbool.h>
#ifdef __x86_64__
#include <xmmintrin.h>

typedef struct caller_mode {
    unsigned before, set;
} caller_mode;

/* Mode `number` of eight. */
static inline caller_mode caller_mode_enter(int number) {
    const unsigned rounding = (unsigned)number % 4 << 13; /* nearest, down, up, to zero */
    const unsigned flush = number & 4 ? 0x8040 : 0, traps = number & 4 ? 0x1f80 : 0;
    const caller_mode m = {_mm_getcsr(), rounding | flush | traps};
    _mm_setcsr(m.set);
    return m;
}

/* Whether the mode is still the one that was set, flags included. */
static inline bool caller_mode_leave(caller_mode m) {
    const bool same = _mm_getcsr() == m.set;
    _mm_setcsr(m.before);
    return same;
}
#else
typedef struct caller_mode {
    int before, set;
} caller_mode;

static inline caller_mode caller_mode_enter(int number) {
    static const int all[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    const caller_mode m = {fegetround(), all[number % 4]};
    fesetround(m.set);
    return m;
}

static inline bool caller_mode_leave(caller_mode m) {
    const bool same = fegetround() == m.set;
    fesetround(m.before);
    return same;
}
#endif

#endif
