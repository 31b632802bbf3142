/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds and reads config files and hands each value to the options. */
#include "config/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_eval.h"
#include "config/options_table.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "util/str.h"

#define FILE_MAX ((size_t)4 << 20)
#define DIRS_MAX 4
#define LINES_MAX 16384

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* JSON */

/* Where `"name"` stands first from `from` on; the end when it does not (it may be escaped). */
static size_t find_name(struct slice text, size_t from, const char *name)
{
    size_t len = strlen(name);
    for (size_t at = from; at + len + 2 <= text.len; at++)
        if (text.data[at] == '"' && memcmp(text.data + at + 1, name, len) == 0 &&
            text.data[at + 1 + len] == '"')
            return at;
    return text.len;
}

/* "<path>:<line>" of the trait, as near as names tell; "<path>" in a file so large that looking
 * for each would take long. Owned. */
static char *where_in_json(const char *path, struct slice text, const char *section,
                           const char *trait)
{
    if (text.len > LINES_MAX)
        return str_dup(path);
    size_t line = 1, at = find_name(text, find_name(text, 0, section), trait);
    for (size_t i = 0; i < at && at < text.len; i++)
        line += text.data[i] == '\n';
    return at < text.len ? str_printf("%s:%zu", path, line) : str_dup(path);
}

static int set_section(struct options *o, const char *path, struct slice text,
                       const char *section, json_t *traits, struct ersa_error *err)
{
    const char *trait;
    json_t *value;
    if (!json_is_object(traits))
        return err_set(err, ERSA_EPARSE, "%s: '%s' is not an object", path, section);
    json_object_foreach(traits, trait, value)
    {
        CLEANUP(free_ptr) char *where = where_in_json(path, text, section, trait);
        int rc = where ? options_set_json(o, section, trait, value, where, err)
                       : err_set(err, ERSA_ENOMEM, "out of memory");
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int load_json(struct options *o, const char *path, struct slice text,
                     struct ersa_error *err)
{
    json_t *j = json_parse(text, err);
    if (!j)
        return err_prefix(err, ERSA_EPARSE, "%s", path);
    const json_t *version = json_object_get(j, "version");
    int rc = 0;
    if (!json_is_object(j))
        rc = err_set(err, ERSA_EPARSE, "%s: not an object", path);
    else if (version && json_integer_value(version) != 1)
        rc = err_set(err, ERSA_EPARSE, "%s: its version is not 1", path);
    const char *section;
    json_t *traits;
    json_object_foreach(j, section, traits) if (rc == 0 && strcmp(section, "version") != 0) rc =
        set_section(o, path, text, section, traits, err);
    json_decref(j);
    return rc;
}

/* Python */

/* Lines that set nothing: empty, comments, `c = get_config()`. */
static bool sets_nothing(struct slice text)
{
    for (size_t at = 0; at < text.len;) {
        const char *line = text.data + at;
        const char *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        size_t first = 0;
        while (first < len && strchr(" \t\r\f", line[first]))
            first++;
        bool is_usual = len - first >= strlen("c = get_config()") &&
                        memcmp(line + first, "c = get_config()", 16) == 0 &&
                        !memchr(line, ';', len);
        if (first < len && line[first] != '#' && !is_usual)
            return false;
        at += len + 1;
    }
    return true;
}

/* What the trait holds now, a new reference; NULL: nothing. */
static json_t *current_value(const struct options *o, const char *section, const char *trait)
{
    int distance;
    for (size_t i = 0; i < options_n_defs(); i++) {
        const struct option_def *d = options_def(i);
        if ((d->programs & options_program(o)) && strcmp(d->trait, trait) == 0 &&
            class_distance(section, d->cls, &distance) && options_value(o, i)->is_set)
            return value_to_json(options_value(o, i), d);
    }
    return json_incref(json_object_get(json_object_get(options_foreign(o), section), trait));
}

/* A list or dict that was changed, not replaced: the value with the changes; a new reference.
 */
static json_t *changed_value(const struct options *o, const char *section, const char *trait,
                             json_t *change)
{
    size_t i;
    json_t *item;
    json_t *old = current_value(o, section, trait);
    json_t *update = json_array_get(json_object_get(change, "update"), 0);
    if (json_is_object(update)) {
        json_t *merged = json_is_object(old) ? json_copy(old) : json_object();
        json_object_update(merged, update);
        json_decref(old);
        return merged;
    }
    json_t *list = json_is_array(old) ? json_copy(old) : json_array();
    json_decref(old);
    json_array_foreach(json_object_get(change, "insert"), i, item)
    {
        json_int_t at = json_integer_value(json_array_get(item, 0));
        json_int_t n = (json_int_t)json_array_size(list);
        at = at < 0 ? (at + n < 0 ? 0 : at + n) : (at > n ? n : at);
        json_array_insert(list, (size_t)at, json_array_get(item, 1));
    }
    json_array_foreach(json_object_get(change, "prepend"), i, item)
        json_array_insert(list, i, item);
    json_array_foreach(json_object_get(change, "extend"), i, item)
        json_array_append(list, item);
    return list;
}

static int set_entry(struct options *o, const json_t *entry, const char *path,
                     struct ersa_error *err)
{
    const char *section = json_string_value(json_array_get(entry, 0));
    const char *trait = json_string_value(json_array_get(entry, 1));
    const char *kind = json_string_value(json_array_get(entry, 2));
    json_t *value = json_array_get(entry, 3);
    const char *file = json_string_value(json_array_get(entry, 4));
    long long line = json_integer_value(json_array_get(entry, 5));
    if (!section || !trait || !kind || !value || !file)
        return err_set(err, ERSA_EPARSE, "%s: Python gave a strange answer", path);
    CLEANUP(free_ptr) char *where = str_printf("%s:%lld", file, line);
    if (!where)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (strcmp(kind, "opaque") == 0) {
        if (class_is_known(section))
            return err_set(err, ERSA_EINVAL, "%s: %s.%s: %.60s is not a plain value", where,
                           section, trait, json_string_value(value));
        options_warn(o, "%s: %s.%s is not a plain value and is left out", where, section,
                     trait);
        return 0;
    }
    if (strcmp(kind, "change") != 0)
        return options_set_json(o, section, trait, value, where, err);
    json_t *changed = changed_value(o, section, trait, value);
    int rc = options_set_json(o, section, trait, changed, where, err);
    json_decref(changed);
    return rc;
}

int config_entries_set(struct options *o, const json_t *entries, const char *path,
                       struct ersa_error *err)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        int rc = set_entry(o, entry, path, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int load_python(struct options *o, const struct profile *p, const char *path,
                       struct ersa_error *err)
{
    const char *python =
        options_program(o) == PROG_ENGINE ? options_text(o, "IPEngine.python") : NULL;
    json_t *entries = NULL;
    int rc = config_eval(p, python, path, &entries, err);
    if (rc == 0)
        rc = config_entries_set(o, entries, path, err);
    json_decref(entries);
    return rc;
}

/* A file that others may write could say anything; one in Python is run. */
static int check_trust(const char *path, struct ersa_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, ERSA_EIO, "%s", path);
    if (st.st_mode & S_IWOTH)
        return err_set(err, ERSA_EIO, "%s can be written by anybody: it is not read", path);
    if (st.st_uid != geteuid() && st.st_uid != 0 && ends_with(path, ".py"))
        return err_set(err, ERSA_EIO, "%s belongs to another user: it is not run", path);
    return 0;
}

int config_file_load(struct options *o, const struct profile *p, const char *path,
                     struct ersa_error *err)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    int rc = check_trust(path, err);
    if (rc == 0)
        rc = file_read(path, &text, err);
    struct slice s = {(char *)text.data, text.len};
    if (rc == 0)
        options_add_file(o, path);
    if (rc == 0 && ends_with(path, ".json"))
        rc = load_json(o, path, s, err);
    else if (rc == 0 && !sets_nothing(s))
        rc = load_python(o, p, path, err);
    buf_fini(&text);
    return rc;
}

/* Where */

static bool are_errors_suppressed(void)
{
    const char *text = getenv("IPYTHON_SUPPRESS_CONFIG_ERRORS");
    return text && *text && strcmp(text, "0") != 0 && strcasecmp(text, "false") != 0;
}

/* Loads the file where it is there. `ret_found` may be NULL. */
static int load_if_there(struct options *o, const struct profile *p, const char *path,
                         bool *ret_found, struct ersa_error *err)
{
    if (access(path, F_OK) < 0)
        return 0;
    if (ret_found)
        *ret_found = true;
    struct ersa_error why = {0};
    int rc = config_file_load(o, p, path, &why);
    if (rc < 0 && are_errors_suppressed()) {
        options_warn(o, "a config file is ignored: %s", why.text);
        return 0;
    }
    return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

/* <dir>/<base>.py, then .json; `base` may have its ending. */
static int load_base(struct options *o, const struct profile *p, const char *dir,
                     const char *base, bool *ret_found, struct ersa_error *err)
{
    static const char *const endings[] = {".py", ".json"};
    bool has_ending = ends_with(base, ".py") || ends_with(base, ".json");
    for (size_t i = 0; i < (has_ending ? 1 : 2); i++) {
        CLEANUP(free_ptr)
        char *path =
            str_printf("%s%s%s%s", dir, *dir ? "/" : "", base, has_ending ? "" : endings[i]);
        int rc = path ? load_if_there(o, p, path, ret_found, err)
                      : err_set(err, ERSA_ENOMEM, "out of memory");
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* etc/ipython of the Python prefix; owned, NULL: there is none. */
static char *prefix_dir(void)
{
    static const char *const variables[] = {"VIRTUAL_ENV", "CONDA_PREFIX"};
    for (size_t i = 0; i < 2; i++) {
        const char *prefix = getenv(variables[i]);
        if (prefix && *prefix)
            return str_path(prefix, "etc/ipython");
    }
    CLEANUP(free_ptr) char *exe = file_exe_dir();
    CLEANUP(free_ptr) char *up = exe ? str_path(exe, "../etc/ipython") : NULL;
    return up ? path_normal(up) : NULL;
}

static int load_extra(struct options *o, const struct profile *p, const char *const *dirs,
                      struct ersa_error *err)
{
    const char *extra = options_text(o, "BaseIPythonApplication.extra_config_file");
    if (!*extra)
        return 0;
    CLEANUP(free_ptr) char *path = path_expand(extra);
    if (!path)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    bool found = false;
    int rc = load_base(o, p, "", path, &found, err);
    for (size_t i = 0; rc == 0 && !found && *path != '/' && dirs[i]; i++)
        rc = load_base(o, p, dirs[i], path, &found, err);
    if (rc == 0 && !found)
        rc = err_set(err, ERSA_EIO, "config file not found: %s", extra);
    return rc;
}

int config_files_load(struct options *o, const struct profile *p, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *prefix = prefix_dir();
    const char *dirs[DIRS_MAX + 1] = {"/etc/ipython", "/usr/local/etc/ipython"};
    size_t n = 2;
    if (prefix && strcmp(prefix, dirs[0]) != 0 && strcmp(prefix, dirs[1]) != 0)
        dirs[n++] = prefix;
    dirs[n++] = p->dir;
    const char *const bases[] = {"ipython_config", program_find(options_program(o))->config};
    for (size_t b = 0; b < 2; b++)
        for (size_t i = 0; i < n; i++) {
            int rc = load_base(o, p, dirs[i], bases[b], NULL, err);
            if (rc < 0)
                return rc;
        }
    return program_find(options_program(o))->program == PROG_CLUSTER_CLEAN
               ? 0
               : load_extra(o, p, dirs, err);
}
