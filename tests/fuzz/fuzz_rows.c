/* SPDX-License-Identifier: BSD-3-Clause */
/* Task records as databases hold them, whoever wrote those: rows of SQLite, the pickled lists
 * in their cells, what an earlier life left beside the file, documents of MongoDB.
 *
 * The first octet: which (% 6, the table). What is read goes to clients: it must have an id and
 * be JSON where it is rendered as such, and written again it must read the same. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "records/query.h"
#include "store/pickle.h"
#include "store/sqlite_backlog.h"
#ifdef ERSA_FUZZ_MONGO
#include "store/mongo_impl.h"
#endif
#include "util/log.h"
#include "wire/json.h"

#define ROWS_MAX 3
#define TEXT_MAX ((size_t)1 << 26)

static char dir[] = "/dev/shm/ersa-fuzz-XXXXXX";
static char database[64], left_over[96];
static struct store *st;
static struct sqlite_store *sq; /* the same */
static sqlite3_stmt *insert;
static struct store_query *everything;
static struct buf text;
static uint8_t sum; /* of what was read: each octet must be readable */

static void touch(const void *data, size_t len)
{
    const uint8_t *p = data;
    FUZZ_CHECK(p || len == 0);
    for (size_t i = 0; i < len; i++)
        sum ^= p[i];
}

/* What becomes of a record that was read */

static int take_record(void *ctx, const struct store_record *r)
{
    FUZZ_CHECK(!store_is_null(r, F_msg_id));
    buf_reset(&text);
    FUZZ_CHECK(buf_puts(&text, "{\"msg_id\": ") == 0);
    for (unsigned f = 0; f < F_MAX; f++) {
        const struct store_binary *list = &r->v[f].binary;
        bool is_list = store_fields[f].kind == 'b';
        for (unsigned i = 0; is_list && !store_is_null(r, f) && i < list->n; i++)
            touch(list->items[i].data, list->items[i].len);
        if (is_list)
            continue;
        FUZZ_CHECK(render_field(&text, r, f) == 0);
        FUZZ_CHECK(buf_puts(&text, f == F_MAX - 1 ? "}" : ", \"x\": ") == 0);
    }
    FUZZ_CHECK(jscan(buf_slice(&text), NULL, 0) == 0);
    ++*(unsigned *)ctx;
    return 0;
}

static bool is_same_list(const struct store_binary *a, const struct store_binary *b)
{
    bool same = a->n == b->n;
    for (unsigned i = 0; same && i < a->n; i++)
        same = slice_eq(a->items[i], b->items[i]);
    return same;
}

/* Pickled lists */

static void read_pickle(struct input *in)
{
    struct store_binary list = {0}, second = {0};
    struct slice *items, *items_again;
    struct slice octets = {(const char *)in->at, input_left(in)};
    int rc = pickle_get(octets, &items, &list.n);
    FUZZ_CHECK(rc == 0 || rc == ERSA_EPARSE);
    if (rc < 0)
        return;
    list.items = items;
    for (unsigned i = 0; i < list.n; i++)
        touch(items[i].data, items[i].len);
    buf_reset(&text);
    if (pickle_put(&text, &list) == 0) { /* it takes what one string repeats */
        FUZZ_CHECK(pickle_get(buf_slice(&text), &items_again, &second.n) == 0);
        second.items = items_again;
        FUZZ_CHECK(is_same_list(&list, &second));
        free(items_again);
    }
    free(items);
}

/* Packed records */

static void read_packed(struct input *in)
{
    static struct pack_items items, items_again;
    struct slice octets = {(const char *)in->at, input_left(in)};
    while (octets.len) {
        struct store_record r, second;
        unsigned n = 0;
        int64_t size = pack_get(octets, &items, &r);
        FUZZ_CHECK(size == ERSA_EPARSE || (size > 0 && (size_t)size <= octets.len));
        if (size < 0)
            return;
        take_record(&n, &r);
        buf_reset(&text);
        FUZZ_CHECK(pack_put(&text, &r) == 0 && (int64_t)text.len == size);
        FUZZ_CHECK(memcmp(text.data, octets.data, text.len) == 0);
        FUZZ_CHECK(pack_get(buf_slice(&text), &items_again, &second) == size);
        octets = (struct slice){octets.data + size, octets.len - (size_t)size};
    }
}

/* Rows: each cell is an octet for its type, and what that needs. */

static struct slice well_formed(unsigned f)
{
    switch (store_fields[f].kind) {
    case 'b':
        return (struct slice){"\x80\3](C\2abC\0e.", 12};
    case 'd':
        return SLICE_LIT("2026-01-02T03:04:05.678901+00:00");
    case 'j':
        return SLICE_LIT("{\"status\": \"ok\"}");
    default:
        return SLICE_LIT("some text");
    }
}

static void bind_cell(struct input *in, unsigned f)
{
    uint8_t form = input_octet(in) % 8;
    int at = (int)f + 1;
    size_t len;
    const void *piece;
    struct slice good = well_formed(f);
    double real = 0;
    uint64_t number;
    switch (form) {
    case 0:
        sqlite3_bind_null(insert, at);
        break;
    case 1:
        number = input_number(in);
        sqlite3_bind_int64(insert, at, (int64_t)(number << input_octet(in) % 49));
        break;
    case 2:
        piece = input_piece(in, sizeof(real), &len);
        memcpy(&real, piece, len);
        sqlite3_bind_double(insert, at, real);
        break;
    case 3:
    case 4:
        piece = input_piece(in, input_number(in) % 4096, &len);
        if (form == 3)
            sqlite3_bind_text64(insert, at, piece, len, SQLITE_STATIC, SQLITE_UTF8);
        else
            sqlite3_bind_blob64(insert, at, piece, len, SQLITE_STATIC);
        break;
    default:
        if (store_fields[f].kind == 'b')
            sqlite3_bind_blob64(insert, at, good.data, good.len, SQLITE_STATIC);
        else
            sqlite3_bind_text64(insert, at, good.data, good.len, SQLITE_STATIC, SQLITE_UTF8);
    }
}

static void note_id(void *ctx, struct slice id)
{
    FUZZ_CHECK(id.data);
    touch(id.data, id.len);
    ++*(unsigned *)ctx;
}

static unsigned read_all(void)
{
    unsigned n = 0, n_ids = 0;
    FUZZ_CHECK(st->ops->find(st, everything, STORE_ALL, take_record, &n, NULL) == 0);
    FUZZ_CHECK(st->ops->history(st, note_id, &n_ids, NULL) == 0 && n_ids <= n);
    keep_free(&sq->kept);
    return n;
}

static void forget_rows(void)
{
    FUZZ_CHECK(sqlite3_exec(sq->db, "DELETE FROM records", NULL, NULL, NULL) == SQLITE_OK);
}

static void read_rows(struct input *in)
{
    unsigned n = 0;
    struct store_record r;
    FUZZ_CHECK(sqlite_begin(sq, NULL) == 0); /* it is never committed */
    for (unsigned row = 0; row < ROWS_MAX && input_left(in); row++) {
        for (unsigned f = 0; f < STORE_COLUMNS; f++)
            bind_cell(in, f);
        int rc = sqlite3_step(insert);
        FUZZ_CHECK(rc == SQLITE_DONE || rc == SQLITE_CONSTRAINT);
        sqlite3_reset(insert);
    }
    read_all();
    int rc = st->ops->get(st, SLICE_LIT("some text"), STORE_ALL, &r, NULL);
    FUZZ_CHECK(rc == 0 || rc == ERSA_ENOENT);
    if (rc == 0)
        take_record(&n, &r);
    forget_rows();
}

/* What an earlier life left: slots, each an octet (1: in use, 2: its head says more than there
 * is) and packed records. */

static void read_left_over(struct input *in)
{
    int fd = open(left_over, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    for (off_t at = 0; at < (off_t)(ROWS_MAX * SLOT_BYTES) && input_left(in);
         at += (off_t)SLOT_BYTES) {
        struct slot_head head = {.length = 0};
        uint8_t form = input_octet(in);
        size_t len;
        const uint8_t *octets = input_piece(in, input_number(in), &len);
        if (form & 1)
            memcpy(head.magic, SLOT_MAGIC, sizeof(head.magic));
        head.length = len + (form & 2 ? (uint64_t)form << 40 : 0);
        FUZZ_CHECK(pwrite(fd, &head, sizeof(head), at) == sizeof(head));
        len = len < BATCH_MAX ? len : BATCH_MAX;
        FUZZ_CHECK(pwrite(fd, octets, len, at + (off_t)sizeof(head)) == (ssize_t)len);
    }
    close(fd);
    FUZZ_CHECK(backlog_recover(sq, database) == 0);
    FUZZ_CHECK(access(left_over, F_OK) < 0); /* all that was to be had is rows */
    FUZZ_CHECK(map_size(&sq->pending.by_id) == 0);
    read_all();
    forget_rows();
}

/* Documents */

#ifdef ERSA_FUZZ_MONGO
/* The `$set` of its change, read again. */
static int read_back(struct keep **keep, const struct store_record *r, struct store_record *ret)
{
    struct pending pending;
    struct mongo_change change;
    bson_iter_t it, set;
    int rc = ERSA_EFULL;
    pending_init(&pending);
    struct pending_entry *e = pending_entry(&pending, r->v[F_msg_id].text, true);
    FUZZ_CHECK(e && pending_merge(&pending, e, r) == 0);
    if (mongo_change(&change, e)) {
        bson_t doc;
        uint32_t len;
        const uint8_t *data;
        FUZZ_CHECK(bson_iter_init_find(&it, change.update, "$set"));
        bson_iter_document(&it, &len, &data);
        FUZZ_CHECK(bson_init_static(&doc, data, len) && bson_iter_init(&set, &doc));
        FUZZ_CHECK(
            bson_validate(&doc, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
        rc = mongo_read(keep, &doc, ret);
        mongo_change_free(&change);
    }
    pending_fini(&pending);
    return rc;
}

/* What is no JSON object is not kept. */
static bool is_same_member(const struct store_record *a, const struct store_record *b,
                           enum store_field f)
{
    bool is_sound = !store_is_null(a, f) && jscan(a->v[f].text, NULL, 0) == 0;
    if (!is_sound)
        return store_is_null(b, f);
    json_t *x = json_parse(a->v[f].text, NULL), *y = NULL;
    if (!store_is_null(b, f))
        y = json_parse(b->v[f].text, NULL);
    bool same = x && y ? json_equal(x, y) : !store_is_null(b, f);
    json_decref(x);
    json_decref(y);
    return same;
}

/* What is finer is set by a path ("ersa_us.submitted"), which the server takes apart. */
static int64_t in_ms(int64_t us)
{
    return us >= 0 ? us / 1000 : -((-us + 999) / 1000);
}

static void compare_records(const struct store_record *a, const struct store_record *b)
{
    for (unsigned f = 0; f < F_MAX; f++) {
        if (store_fields[f].kind == 'j') {
            FUZZ_CHECK(is_same_member(a, b, f));
            continue;
        }
        FUZZ_CHECK(f == F_stdout || f == F_stderr ||
                   store_is_null(a, f) == store_is_null(b, f));
        if (store_is_null(a, f))
            continue;
        if (store_fields[f].kind == 'd')
            FUZZ_CHECK(in_ms(a->v[f].date) == in_ms(b->v[f].date));
        else if (store_fields[f].kind == 'b')
            FUZZ_CHECK(is_same_list(&a->v[f].binary, &b->v[f].binary));
        else
            touch(b->v[f].text.data, b->v[f].text.len);
    }
}

static void take_document(const bson_t *doc)
{
    struct keep *keep = NULL;
    struct store_record r, second;
    unsigned n = 0;
    int rc = mongo_read(&keep, doc, &r);
    FUZZ_CHECK(rc == 0 || rc == ERSA_ENOENT);
    if (rc == 0) {
        take_record(&n, &r);
        rc = read_back(&keep, &r, &second);
        FUZZ_CHECK(rc == 0 || rc == ERSA_EFULL);
    } else {
        rc = ERSA_EFULL;
    }
    if (rc == 0)
        compare_records(&r, &second);
    keep_free(&keep);
}

static void read_document(struct input *in)
{
    bson_t doc;
    if (bson_init_static(&doc, in->at, input_left(in)))
        take_document(&doc);
}

/* The same from text: every type has a form there. */
static void read_document_text(struct input *in)
{
    bson_error_t why;
    bson_t *doc = bson_new_from_json(in->at, (ssize_t)input_left(in), &why);
    if (doc)
        take_document(doc);
    bson_destroy(doc);
}
#else
#define read_document read_pickle
#define read_document_text read_packed
#endif

/* Runs */

static void tidy_up(void)
{
    sqlite3_finalize(insert);
    sqlite_roll_back(sq);
    store_query_free(everything);
    st->ops->close(st);
    buf_fini(&text);
    unlink(database);
    rmdir(dir);
}

static void set_up(void)
{
    if (st)
        return;
    log_set_level(LOG_CRITICAL + 1);
    FUZZ_CHECK(mkdtemp(dir));
    snprintf(database, sizeof(database), "%s/db", dir);
    snprintf(left_over, sizeof(left_over), "%s-waiting-00000001", database);
    struct store_sqlite_config cfg = {.path = database, .table = "records"};
    FUZZ_CHECK(store_sqlite_open(&st, &cfg, NULL) == 0);
    sq = (struct sqlite_store *)st;
    buf_init(&text, TEXT_MAX);
    FUZZ_CHECK(buf_puts(&text, "INSERT INTO records VALUES(") == 0);
    for (unsigned f = 0; f < STORE_COLUMNS; f++)
        FUZZ_CHECK(buf_puts(&text, f + 1 < STORE_COLUMNS ? "?," : "?)") == 0);
    FUZZ_CHECK(sqlite3_prepare_v2(sq->db, buf_cstr(&text), -1, &insert, NULL) == SQLITE_OK);
    json_t *query = json_object();
    FUZZ_CHECK(store_query_parse(&everything, query, NULL) == 0);
    json_decref(query);
    atexit(tidy_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct input * in) = {
        read_pickle, read_packed, read_rows, read_left_over, read_document, read_document_text,
    };
    struct input in = {data, data + size};
    set_up();
    readers[input_octet(&in) % 6](&in);
    return 0;
}
