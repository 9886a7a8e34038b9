-- What calls of many users take: items of different lengths, keys in pages, lists of keys.
local function core(fields)
    fields.op, fields.heads, fields.kv_heads = "full_self", 4, 2
    fields.head_dim, fields.v_dim = 16, 8
    return fields
end
local function layer(fields)
    fields.level, fields.d_model, fields.heads, fields.kv_heads = "block", 32, 4, 2
    fields.ffn = "none"
    return fields
end
return {
    name = "users",
    layers = {
        core {},
        core { layout = "paged", page = 16 },
        core {},
        core { select = "index" },
        core { select = "index", layout = "paged", page = 16, kv_type = "i8", dot = "f32" },
        layer { layout = "paged", page = 16 },
        layer { select = "index" },
    },
}
