$ local attributes = [[xmlns="http://www.w3.org/2000/svg" width="720"]]
$ local style = "<style>\n" .. part("report/style.css") .. "svg { background: var(--paper); }\n</style>"
<!-- Written by attn-gen: the mask of
${picture.model},
layers
${picture.layers},
kernel
${picture.name}.
${picture.remarks}
 -->
${part("report/mask.svg", { p = picture, attributes = attributes, style = style })}
