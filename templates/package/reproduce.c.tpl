$ -- How files of a folder are made again, in their opening comments. a: what lines begin with where
$ -- they are no comment of C.
$ local words, code = " * ", " *   "
$ if a then words, code = a.words, a.code end
${words}Reproduce with the model.lua of its folder:
$ for _, line in ipairs(model.command) do
${code}${line}
$ end
