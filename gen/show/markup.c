#include "markup.h"

#include "text.h"

#include <string.h>

enum { COLUMNS = 88, WORD_COLUMNS = 78 };

/* A word, broken where it is too long, but not inside an entity. Answers its last column. */
static size_t add_word(buf *b, const char *word, size_t n, size_t column) {
    bool entity = false;
    for (size_t i = 0; i < n; i++, column++) {
        if (column >= WORD_COLUMNS && !entity) {
            buf_puts(b, "<!--\n-->");
            column = 3;
        }
        if (word[i] == '&') entity = true;
        if (word[i] == ';') entity = false;
        buf_add(b, word + i, 1);
    }
    return column;
}

const char *markup_fold(arena *a, const char *s) {
    const char *text = text_xml(a, s);
    buf b = buf_new(a);
    buf_puts(&b, "");
    for (size_t column = 0; *text;) {
        const size_t n = strcspn(text, " ");
        if (column && column + 1 + n > COLUMNS) {
            buf_puts(&b, "\n");
            column = 0;
        } else if (column) {
            buf_puts(&b, " ");
            column++;
        }
        column = n > COLUMNS ? add_word(&b, text, n, column) : (buf_add(&b, text, n), column + n);
        text += n;
        text += strspn(text, " ");
    }
    return b.data;
}
