/* SPDX-License-Identifier: BSD-3-Clause */
/* The query language of db_request on a few records. The input is the query's JSON text. */
#include <string.h>

#include "fuzz.h"
#include "store/query.h"
#include "util/clock.h"
#include "wire/json.h"

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static struct store_record full_record(void)
{
    static const struct slice buffers[] = {{"ab", 2}, {"", 0}};
    struct store_record r = {.set = (1u << F_MAX) - 1};
    for (int f = 0; f < F_MAX; f++) {
        switch (store_fields[f].kind) {
        case 't':
            r.v[f].text = text(f == F_msg_id ? "a_1_2" : "text");
            break;
        case 'j':
            r.v[f].text = text("{\"n\": [1, 2.5, null], \"t\": true}");
            break;
        case 'd':
            r.v[f].date = 1767323045678901;
            break;
        default:
            r.v[f].binary = (struct store_binary){buffers, 2};
        }
    }
    return r;
}

static void run(struct store_query *q)
{
    struct store_record records[] = {full_record(), full_record(), {0}};
    struct slice id;
    records[1].v[F_msg_id].text = text("b_1_2");
    records[1].v[F_content].text = text("\xff not JSON");
    records[1].set &= ~(1u << F_completed | 1u << F_stdout);
    records[2].set = 1u << F_msg_id;
    records[2].v[F_msg_id].text = text("");
    bool has_id = store_query_id(q, &id);
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        bool matches = store_query_matches(q, &records[i]);
        FUZZ_CHECK(matches == store_query_matches(q, &records[i]));
        if (has_id && !(id.len == records[i].v[F_msg_id].text.len &&
                        slice_eq(id, records[i].v[F_msg_id].text)))
            FUZZ_CHECK(!matches || id.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *j = json_parse((struct slice){(const char *)data, size}, NULL);
    struct store_query *q = NULL;
    struct ersa_error err = {0};
    if (!j)
        return 0;
    int rc = store_query_parse(&q, j, &err);
    FUZZ_CHECK((rc == 0) == (q != NULL));
    FUZZ_CHECK(rc == 0 || err.text[0] || rc == ERSA_ENOENT);
    json_decref(j);
    if (q)
        run(q);
    store_query_free(q);
    return 0;
}
