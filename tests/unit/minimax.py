#!/usr/bin/env python3
"""Derives the polynomial coefficients of runtime/simd/math.h (pip install mpmath numpy scipy).

Every polynomial is a minimax fit (a linear program over a Chebyshev grid, in 40 digits) of
    fixed(x) + sum_k c_k x^(p + k)   to   f(x),   with weight w(x),   on [a, b].
Coefficients are then rounded to f32 one at a time, lowest power first; after each rounding the
rest is fitted again, so that later coefficients make up for earlier roundings.
Printed errors are those of the rounded polynomial in exact arithmetic, in the weight's unit."""
import struct
import numpy as np
from scipy.optimize import linprog
from mpmath import mp, mpf, matrix, lu_solve, cos, pi, exp, log, sin, sqrt, floor

mp.dps = 40
LN2 = log(mpf(2))


def f32(x):
    return mpf(struct.unpack('f', struct.pack('f', float(x)))[0])


def minimax(f, w, a, b, powers, grid=600):
    """Coefficients c minimising max |w(x) (sum c_k x^powers[k] - f(x))| on a grid: a least-squares
    fit, then a linear program for the small correction."""
    xs = [(a + b) / 2 - (b - a) / 2 * cos(pi * (i + mpf(1) / 2) / grid) for i in range(grid)]
    m = matrix(grid, len(powers))
    v = matrix(grid, 1)
    for i, x in enumerate(xs):
        u = w(x)
        v[i] = u * f(x)
        for k, p in enumerate(powers):
            m[i, k] = u * x ** p
    c = lu_solve(m.T * m, m.T * v)
    res = np.array([float(t) for t in m * c - v])
    rows = np.array([[float(m[i, k]) for k in range(len(powers))] for i in range(grid)])
    scale = np.abs(rows).max(axis=0)
    rows /= scale
    big = np.abs(res).max()
    # |rows d + res / big| <= e
    one = np.ones((grid, 1))
    lp = linprog([0] * len(powers) + [1],
                 A_ub=np.block([[rows, -one], [-rows, -one]]),
                 b_ub=np.concatenate([-res, res]) / big,
                 bounds=[(None, None)] * len(powers) + [(0, None)], method='highs')
    return [c[k] + mpf(float(lp.x[k] * big / scale[k])) for k in range(len(powers))]


def fit(name, f, a, b, powers, w, fixed=lambda x: mpf(0)):
    a, b = mpf(a), mpf(b)
    left, done = list(powers), []
    while left:
        rest = lambda x: f(x) - fixed(x) - sum(c * x ** p for p, c in done)
        c = minimax(rest, w, a, b, left)
        done.append((left.pop(0), f32(c[0])))
    err = 0
    for i in range(4001):
        x = a + (b - a) * i / 4000
        err = max(err, abs(w(x) * (fixed(x) + sum(c * x ** p for p, c in done) - f(x))))
    print('%-28s max error %s' % (name, mp.nstr(err, 4)))
    for p, c in done:
        print('    x^%d  %sf  %s' % (p, float(c).hex().replace('0000000p', 'p'), mp.nstr(c, 10)))


def split(name, c, bits):
    """c as a sum of f32 terms of so many bits each."""
    out = []
    for b in bits:
        if b == 24:
            t = f32(c)
        else:
            e = floor(log(abs(c), 2)) + 1 - b
            t = floor(c / mpf(2) ** e + mpf(1) / 2) * mpf(2) ** e
        out.append(float(t).hex().replace('0000000p', 'p'))
        c -= t
    print('%-28s %s  rest %s' % (name, ' '.join(out), mp.nstr(c, 3)))


def ulps(f):
    """Weight: 1 / ulp of an f32 result f(x); 0 where f is."""
    def w(x):
        y = abs(f(x))
        return 1 / mpf(2) ** (floor(log(y, 2)) - 23) if y else mpf(0)
    return w


def relative(f):
    """Weight: the error relative to f, in units of 2^-24 (half an ulp to one ulp)."""
    return lambda x: 1 / abs(f(x)) * mpf(2) ** 24 if f(x) else mpf(0)


def expm1(x):
    return exp(x) - 1 if abs(x) > mpf(10) ** -6 else x + x * x / 2 + x ** 3 / 6 + x ** 4 / 24


def log1p(x):
    return log(1 + x)


if __name__ == '__main__':
    half, one = mpf(1) / 2, lambda x: mpf(1)
    exp2 = lambda x: mpf(2) ** x
    fit('exp2_softmax, degree 5', exp2, -half, half, range(1, 6), ulps(exp2), one)
    w = ulps(exp2)
    fit('exp2_softmax [0, 1)', exp2, 0, 1, range(1, 6), lambda x: min(w(x), mpf(2) ** 23), one)
    fit('exp2, degree 6', exp2, -half, half, range(1, 7), ulps(exp2), one)
    fit('exp, degree 6', exp, -LN2 / 2, LN2 / 2, range(2, 7), ulps(exp), lambda x: 1 + x)
    em2 = lambda x: expm1(2 * x)
    fit('expm1(2x), degree 6', em2, -LN2 / 4, LN2 / 4, range(2, 7), relative(em2), lambda x: 2 * x)
    lo, hi = sqrt(half) - 1, sqrt(mpf(2)) - 1
    fit('log1p, 3..9', log1p, lo, hi, range(3, 10), relative(log1p), lambda x: x - x * x / 2)
    l2 = lambda x: log1p(x) / LN2
    fit('log2(1+x), 1..9', l2, lo, hi, range(1, 10), relative(l2))
    q = pi / 4
    # Odd and even functions: in t = x^2, as sin(sqrt t) / sqrt t and cos(sqrt t).
    si = lambda t: sin(sqrt(t)) / sqrt(t) if t else mpf(1)
    co = lambda t: cos(sqrt(t))
    fit('sin(x)/x in x^2', si, 0, q * q, range(1, 4), relative(si), one)
    fit('cos(x) in x^2', co, 0, q * q, range(2, 5), relative(co), lambda t: 1 - t / 2)
    split('ln2 15+24', LN2, [15, 24])
    split('ln2/2 24', LN2 / 2, [24])
    split('ln2/2 18+24', LN2 / 2, [18, 24])
    split('pi/2 24+24+24', pi / 2, [24, 24, 24])
    split('pi/2 11+11+11+24', pi / 2, [11, 11, 11, 24])
    for name, c in (('log2(e)', 1 / LN2), ('2 log2(e)', 2 / LN2), ('2/pi', 2 / pi)):
        split(name, c, [24])
