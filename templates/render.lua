-- The environment of templates: read-only data, part(), list(), lines(), f32(), and nothing else.
-- Text collects in a list of lines; see gen/output/render.c for the translation of a template to Lua.

local function strict(record, what)
  return setmetatable({}, {
    __index = function(_, name)
      local value = record[name]
      if value == nil then
        error(what .. " has no '" .. tostring(name) .. "'", 2)
      end
      return value
    end,
    __newindex = function(_, name)
      error(what .. " is read-only: '" .. tostring(name) .. "'", 2)
    end,
  })
end

local out -- lines of the template that runs

local function text(value)
  if type(value) == "string" then return value end
  if math.type(value) == "integer" then return tostring(value) end
  error("${} takes a string or an integer, got " .. type(value) ..
    (type(value) == "number" and "; floats go through f32()" or ""), 3)
end

-- One output line from its pieces.
local function line(...)
  local pieces = {}
  for i = 1, select("#", ...) do pieces[i] = select(i, ...) end
  out[#out + 1] = table.concat(pieces)
end

-- A block that stands alone on its line: every line of it is indented.
local function block(indent, value)
  local s = text(value)
  if s == "" then return end
  for l in (s:sub(-1) == "\n" and s or s .. "\n"):gmatch("([^\n]*)\n") do
    out[#out + 1] = l == "" and "" or indent .. l
  end
end

-- f(0), f(1) .. f(n - 1), joined.
local function list(n, f, separator)
  local items = {}
  for i = 0, n - 1 do items[i + 1] = f(i) end
  return table.concat(items, separator or ", ")
end

local function lines(array)
  return table.concat(array, "\n")
end

-- p + row * stride + column in C, without what is zero; row, stride: of an array of rows.
local function at(p, column, row, stride)
  local parts = { p }
  if row and row ~= 0 then parts[2] = (row == 1 and "" or row .. " * ") .. stride end
  if column ~= 0 then parts[#parts + 1] = column end
  return table.concat(parts, " + ")
end

-- Breaks a list after commas, at 64 columns.
local function wrap(s)
  local result, column = {}, 0
  for item in (s .. ", "):gmatch("(.-), ") do
    if column + #item > 64 then
      result[#result + 1] = "\n"
      column = 0
    end
    result[#result + 1] = (column > 0 and " " or "") .. item .. ","
    column = column + #item + 2
  end
  return table.concat(result)
end

-- A comment of any length, broken at blanks.
local function comment(s)
  local result, line = {}, "/*"
  for word in (s .. " */"):gmatch("[^ ]+") do
    if #line + 1 + #word > 88 then
      result[#result + 1] = line
      line = " *"
    end
    line = line .. " " .. word
  end
  result[#result + 1] = line
  return table.concat(result, "\n")
end

-- A function's declaration: on one line if it fits.
local function signature(result, name, parameters)
  local line = result .. " " .. name .. "(" .. parameters .. ")"
  if #line <= 98 then return line end
  return result .. "\n" .. name .. "(\n    " .. parameters .. ")"
end

local base = {
  assert = assert, error = error, ipairs = ipairs, tostring = tostring, type = type,
  string = string, table = table, math = math, f32 = f32, list = list, lines = lines, at = at,
  wrap = wrap, comment = comment, signature = signature,
  _line = line, _block = block, _text = text,
}
for _, entry in ipairs(data) do
  base[entry.name] = entry.value and strict(entry.value, entry.name)
end

-- Runs a template: its text, and what it returns.
local function run(name, args)
  local saved = out
  out = {}
  local env = setmetatable({ a = args and strict(args, name .. "'s arguments") or false }, {
    __index = function(_, key)
      local value = base[key]
      if value == nil then error("undefined name '" .. tostring(key) .. "'", 2) end
      return value
    end,
    __newindex = function(_, key)
      error("templates set no globals: '" .. tostring(key) .. "'", 2)
    end,
  })
  local result = chunk("templates/" .. name .. ".tpl", env)()
  local s = table.concat(out, "\n") .. "\n"
  out = saved
  return s, result
end

local function part(name, args)
  return (run(name, args))
end
base.part = part

-- A template of hooks returns functions, which give text, or print it where they are called.
function base.hooks(name)
  local s, result = run(name)
  assert(s == "\n" and type(result) == "table", name .. ": returns hooks and prints nothing itself")
  return strict(result, name)
end

-- One blank line is enough anywhere.
local function squeeze(s)
  s = s:gsub("\n\n\n+", "\n\n")
  s = s:gsub("^\n+", "")
  return (s:gsub("\n+$", "\n"))
end

return squeeze(part(main))
