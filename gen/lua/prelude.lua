-- Helpers of model files. Each returns the text of an expression (or of a list), so they compose:
-- mask = both(document("doc"), sliding(255)). Operands other than names and numbers are put in
-- parentheses.

local function operand(x)
    return tostring(x):find("^[%w_.]+$") and tostring(x) or "(" .. x .. ")"
end

local function text(x, what)
    if type(x) == "string" or math.type(x) == "integer" then return operand(x) end
    error(what .. " must be an expression or an integer, got a " .. type(x), 3)
end

local function name(x, what)
    if type(x) == "string" and x:find("^[%a_][%w_]*$") then return x end
    error(what .. " must be the name of a side tensor or scalar", 3)
end

local function number(x, what)
    if type(x) == "string" or math.type(x) == "integer" then return operand(x) end
    if type(x) == "number" and x - x == 0 then return operand(("%.9g"):format(x)) end
    error(what .. " must be an expression or a finite number", 3)
end

local function join(op, ...)
    local parts, count = { ... }, select("#", ...)
    if count == 0 then error("needs one or more masks", 2) end
    for i = 1, count do
        if type(parts[i]) ~= "string" then
            error("mask " .. i .. " must be an expression, got a " .. type(parts[i]), 2)
        end
        parts[i] = "(" .. parts[i] .. ")"
    end
    return table.concat(parts, op)
end

-- Keys up to the query.
function causal() return "k <= q" end
-- Keys up to the query, at most w back.
function sliding(w) return "k <= q and q - k <= " .. text(w, "sliding: w") end
-- Keys at most w back and at most r ahead.
function sliding_both(w, r)
    w, r = text(w, "sliding_both: w"), text(r, "sliding_both: r")
    return "q - k <= " .. w .. " and k - q <= " .. r
end
-- Keys of the query's own document; t is an i32 [kv_len] side tensor of document numbers.
function document(t)
    t = name(t, "document: t")
    return t .. "[q] == " .. t .. "[k]"
end
-- Causal, and the first n keys are visible to all; n is a scalar's name or an integer.
function prefix_lm(n) return "k <= q or k < " .. text(n, "prefix_lm: n") end
-- Keys of the query's own block of n.
function block_diagonal(n)
    n = text(n, "block_diagonal: n")
    return "q // " .. n .. " == k // " .. n
end
-- Every n-th key, counted from the query.
function dilated(n) return "(q - k) % " .. text(n, "dilated: n") .. " == 0" end
-- All of the masks.
function both(...) return join(" and ", ...) end
-- Any of the masks.
function either(...) return join(" or ", ...) end
-- Where the mask is not true.
function negate(a) return "not " .. text(a, "negate: a") end

-- A penalty that grows with distance; t is an f32 [heads] side tensor of slopes.
function alibi(t) return "s + " .. name(t, "alibi: t") .. "[h] * (k - q)" end
-- Scores bounded by c, smoothly.
function softcapped(c)
    c = number(c, "softcapped: c")
    return c .. " * tanh(s / " .. c .. ")"
end
-- A learned bias by distance; t is f32 [heads][2 * max + 1], distances beyond max share the ends.
function relative_bias(t, max)
    max = text(max, "relative_bias: max")
    return "s + " .. name(t, "relative_bias: t") .. "[h][clamp(q - k, -" .. max .. ", " .. max ..
        ") + " .. max .. "]"
end
-- A learned bias by T5's buckets of distance: n buckets, distances from max on share one a side;
-- t is f32 [n][heads]; causal: all buckets are for keys before the query.
function t5_bias(t, n, max, causal)
    for _, x in ipairs({ n, max }) do
        if math.type(x) ~= "integer" or x < 4 then
            error("t5_bias: n and max must be integers from 4", 2)
        end
    end
    local half = causal and n or n // 2
    local exact = half // 2 -- buckets of one distance each; the others grow by a factor
    if max <= exact then error("t5_bias: max must be above " .. exact, 2) end
    local d = causal and "max(q - k, 0)" or "abs(q - k)"
    local far = ("int(log(max(%s, 1) / %d) / log(%d / %d) * %d)"):format(d, exact, max, exact,
        half - exact)
    local side = causal and "" or ("where(k > q, %d, 0) + "):format(half)
    return ("s + %s[%swhere(%s < %d, %s, min(%d + %s, %d))][h]"):format(name(t, "t5_bias: t"), side,
        d, exact, d, exact, far, half - 1)
end
-- The score `second` applied to the result of the score `first`.
function chain(first, second)
    first = text(first, "chain: first")
    if type(second) ~= "string" then error("chain: second must be an expression", 2) end
    return (second:gsub("%f[%w_]s%f[^%w_]", (first:gsub("%%", "%%%%"))))
end

-- A list of n times the same layer.
function rep(n, layer)
    if math.type(n) ~= "integer" or n < 0 then error("rep: n must be an integer from 0", 2) end
    local list = {}
    for i = 1, n do list[i] = layer end
    return list
end
