/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors in Python's words: repr() quotes with ' unless the text holds one and no ". */
#include "wire/reply.h"

#include <string.h>

#include "wire/json.h"

#define EVALUE_MAX 65536

static json_t *lossy(const char *text, size_t len)
{
    return json_lossy((struct slice){text, len});
}

json_t *error_content(const char *ename, const char *evalue)
{
    struct buf line;
    buf_init(&line, 2 * EVALUE_MAX);
    buf_printf(&line, "%s: %s", ename, evalue);
    json_t *content =
        json_pack("{s:s, s:o, s:o, s:[o], s:{}}", "status", "error", "ename",
                  lossy(ename, strlen(ename)), "evalue", lossy(evalue, strlen(evalue)),
                  "traceback", lossy((const char *)line.data, line.len), "engine_info");
    buf_fini(&line);
    return content;
}

json_t *error_content_key(const char *message)
{
    struct buf b;
    buf_init(&b, EVALUE_MAX);
    put_repr(&b, (struct slice){message, strlen(message)});
    const char *text = buf_cstr(&b);
    json_t *content = error_content("KeyError", text ? text : "");
    buf_fini(&b);
    return content;
}

int put_repr(struct buf *b, struct slice text)
{
    bool has_single = memchr(text.data, '\'', text.len);
    bool has_double = memchr(text.data, '"', text.len);
    unsigned char quote = has_single && !has_double ? '"' : '\'';
    int rc = buf_putc(b, (char)quote);
    for (size_t i = 0; i < text.len && rc == 0; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == quote || c == '\\')
            rc = buf_printf(b, "\\%c", c);
        else if (c == '\n')
            rc = buf_puts(b, "\\n");
        else if (c == '\t')
            rc = buf_puts(b, "\\t");
        else if (c == '\r')
            rc = buf_puts(b, "\\r");
        else if (c < 0x20 || c == 0x7f)
            rc = buf_printf(b, "\\x%02x", c);
        else
            rc = buf_putc(b, (char)c);
    }
    return rc < 0 ? rc : buf_putc(b, (char)quote);
}

int put_repr_json(struct buf *b, const json_t *value)
{
    if (json_is_string(value))
        return put_repr(b, (struct slice){json_string_value(value), json_string_length(value)});
    if (json_is_null(value))
        return buf_puts(b, "None");
    if (json_is_boolean(value))
        return buf_puts(b, json_is_true(value) ? "True" : "False");
    char *text = json_text(value);
    int rc = buf_puts(b, text ? text : "?");
    free(text);
    return rc;
}

bool reply_type(struct slice type, char out[MSG_TYPE_MAX])
{
    static const char request[] = "_request", reply[] = "_reply";
    size_t suffix = sizeof(request) - 1;
    if (type.len <= suffix || type.len >= MSG_TYPE_MAX ||
        memcmp(type.data + type.len - suffix, request, suffix) != 0)
        return false;
    memcpy(out, type.data, type.len - suffix);
    memcpy(out + type.len - suffix, reply, sizeof(reply));
    return true;
}
