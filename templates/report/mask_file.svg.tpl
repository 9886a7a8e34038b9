$ local attributes = [[xmlns="http://www.w3.org/2000/svg" width="720"]]
$ local paper = "svg { background: var(--paper); }\n"
$ local style = "<style>\n" .. part("report/style.css") .. paper .. "</style>"
<!-- Written by attn-gen: the mask of
${picture.model},
layers
${picture.layers},
kernel
${picture.name}.
${picture.remarks}
 -->
${part("report/mask.svg", { p = picture, attributes = attributes, style = style })}
