/* SPDX-License-Identifier: BSD-3-Clause */
/* One row an operator: the text of its condition, where it can be said of a text or of a date,
 * and how null counts. `?` is the operand, `@` the column. Long lists of texts are one
 * parameter, a JSON array that SQLite takes apart. */
#include "store/query_sql.h"

#include <stdlib.h>
#include <string.h>

#include "store/query_impl.h"
#include "util/clock.h"

#define NEVER "0"
#define ALWAYS "1"

size_t sql_date(int64_t utc_us, char out[SQL_DATE_MAX])
{
    char iso[CLOCK_ISO_MAX];
    size_t len = clock_iso(utc_us, iso) - 1; /* without its Z */
    if (len > 7 && memcmp(iso + len - 7, ".000000", 7) == 0)
        len -= 7;
    memcpy(out, iso, len);
    memcpy(out + len, "+00:00", 7);
    return len + 6;
}

/* What is said when the operand is of the column's kind; NULL: left to the evaluation. */
static const struct {
    const char *plain, *null; /* a text or date; null */
    bool of_other;            /* holds for an operand of another kind */
} forms[OP_MAX] = {
    [OP_EQ] = {"@=?", "@ IS NULL", false},
    [OP_NE] = {"@ IS NOT ?", "@ IS NOT NULL", true},
    [OP_LT] = {"@<?", NEVER, false},
    [OP_LTE] = {"@<=?", NEVER, false},
    [OP_GT] = {"@>?", NEVER, false},
    [OP_GTE] = {"@>=?", NEVER, false},
    [OP_GLOB] = {"@>=? AND @<?", NEVER, false},
};

/* The pattern up to what is special. */
static struct slice prefix_of(const struct condition *c)
{
    const char *pattern = json_string_value(c->value.j);
    size_t len = json_string_length(c->value.j), n = 0;
    while (n < len && pattern[n] != '*' && pattern[n] != '?' && pattern[n] != '[')
        n++;
    return (struct slice){pattern, n};
}

/* SQLite ends texts of JSON at a zero. */
static bool has_zero(const struct condition *c)
{
    for (size_t i = 0; i < c->list.n; i++)
        if (json_is_string(c->list.items[i].j) &&
            memchr(json_string_value(c->list.items[i].j), '\0',
                   json_string_length(c->list.items[i].j)))
            return true;
    return false;
}

static bool takes_parameter(const struct condition *c)
{
    if (c->field >= STORE_COLUMNS)
        return false;
    char kind = store_fields[c->field].kind;
    switch (c->id) {
    case OP_IN:
    case OP_NIN:
        return kind == 't' && !has_zero(c);
    case OP_GLOB:
        return kind == 't' && prefix_of(c).len > 0;
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LTE:
    case OP_GT:
    case OP_GTE:
        return (kind == 't' && json_is_string(c->value.j)) || (kind == 'd' && c->value.is_date);
    default:
        return false;
    }
}

static bool has_null(const struct condition *c)
{
    for (size_t i = 0; i < c->list.n; i++)
        if (json_is_null(c->list.items[i].j))
            return true;
    return false;
}

static const char *list_form(const struct condition *c)
{
    bool null = has_null(c);
    if (c->id == OP_IN)
        return null ? "(@ IN (SELECT value FROM json_each(?)) OR @ IS NULL)"
                    : "@ IN (SELECT value FROM json_each(?))";
    return null ? "(@ IS NOT NULL AND @ NOT IN (SELECT value FROM json_each(?)))"
                : "(@ IS NULL OR @ NOT IN (SELECT value FROM json_each(?)))";
}

static const char *form_of(const struct condition *c)
{
    if (c->field >= STORE_COLUMNS)
        return ALWAYS;
    if (c->id == OP_EXISTS)
        return query_is_true(c->value.j) ? "@ IS NOT NULL" : "@ IS NULL";
    if (takes_parameter(c))
        return c->id == OP_IN || c->id == OP_NIN ? list_form(c) : forms[c->id].plain;
    if (!forms[c->id].plain)
        return ALWAYS;
    if (json_is_null(c->value.j))
        return forms[c->id].null;
    if (store_fields[c->field].kind == 'j' || c->id == OP_GLOB)
        return forms[c->id].of_other ? ALWAYS : "@ IS NOT NULL";
    return forms[c->id].of_other ? ALWAYS : NEVER;
}

int query_sql_put(struct buf *b, const struct store_query *q)
{
    unsigned parameter = 0;
    int rc = q->n ? 0 : buf_puts(b, ALWAYS);
    for (size_t i = 0; i < q->n; i++) {
        const struct condition *c = &q->conditions[i];
        if (i && rc == 0)
            rc = buf_puts(b, " AND ");
        for (const char *at = form_of(c); *at && rc == 0; at++) {
            if (*at == '@')
                rc = buf_puts(b, store_fields[c->field].name);
            else if (*at == '?')
                rc = buf_printf(b, "?%u", ++parameter);
            else
                rc = buf_putc(b, *at);
        }
    }
    return rc;
}

static int bind_list(sqlite3_stmt *s, int at, const struct condition *c)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < c->list.n; i++)
        if (json_is_string(c->list.items[i].j))
            json_array_append(texts, c->list.items[i].j);
    char *text = json_dumps(texts, JSON_COMPACT);
    json_decref(texts);
    if (!text)
        return SQLITE_NOMEM;
    return sqlite3_bind_text64(s, at, text, strlen(text), free, SQLITE_UTF8);
}

/* From the prefix on, and below the text that has one more in its last octet. */
static int bind_range(sqlite3_stmt *s, int at, const struct condition *c)
{
    struct slice prefix = prefix_of(c);
    char *end = malloc(prefix.len);
    if (!end)
        return SQLITE_NOMEM;
    memcpy(end, prefix.data, prefix.len);
    end[prefix.len - 1]++; /* 0xFF is no octet of UTF-8 */
    int rc = sqlite3_bind_text64(s, at, prefix.data, prefix.len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc != SQLITE_OK) {
        free(end);
        return rc;
    }
    return sqlite3_bind_text64(s, at + 1, end, prefix.len, free, SQLITE_UTF8);
}

/* The condition's parameters, from *at on. */
static int bind_condition(sqlite3_stmt *s, int *at, const struct condition *c)
{
    char date[SQL_DATE_MAX];
    int first = *at + 1;
    *at += c->id == OP_GLOB ? 2 : 1;
    if (c->id == OP_GLOB)
        return bind_range(s, first, c);
    if (c->id == OP_IN || c->id == OP_NIN)
        return bind_list(s, first, c);
    if (store_fields[c->field].kind == 'd')
        return sqlite3_bind_text64(s, first, date, sql_date(c->value.date, date),
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    return sqlite3_bind_text64(s, first, json_string_value(c->value.j),
                               json_string_length(c->value.j), SQLITE_STATIC, SQLITE_UTF8);
}

int query_sql_bind(sqlite3_stmt *s, const struct store_query *q)
{
    int at = 0, rc = SQLITE_OK;
    for (size_t i = 0; i < q->n && rc == SQLITE_OK; i++)
        if (takes_parameter(&q->conditions[i]))
            rc = bind_condition(s, &at, &q->conditions[i]);
    return rc == SQLITE_OK ? 0 : rc == SQLITE_NOMEM ? ERSA_ENOMEM : ERSA_EINVAL;
}
