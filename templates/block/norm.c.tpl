$ -- Norms of rows: where they stand, and their weights as arguments of norm().
$ local norms, place = spec.norm ~= "none", spec.norm_place
$ return {
$   first = norms and place ~= "branch" and not spec.skip_norm1, -- norm1
$   before = norms and (place == "pre" or place == "both"), -- of what goes into a part
$   after = norms and (place == "branch" or place == "both"), -- of what comes out of it
$   of = function(name)
$     local weight = spec.norm_bare and "NULL" or "l->w + " .. name .. "_AT"
$     return weight .. ", " .. (spec.norm_bias and "l->w + " .. name .. "_BIAS_AT" or "NULL")
$   end,
$ }
