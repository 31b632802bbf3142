/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding profiles and clusters; see cluster_scan.h. */
#include "cli/cluster_scan.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "config/cluster_file.h"
#include "util/cleanup.h"
#include "util/str.h"

#define PREFIX "profile_"

/* As profile_open() fills it, but nothing is looked at or made. */
static int make_profile(struct profile *p, const char *ipython_dir, const char *dir)
{
    const char *base = strrchr(dir, '/');
    base = base ? base + 1 : dir;
    const char *name = strncmp(base, PREFIX, strlen(PREFIX)) == 0 ? base + strlen(PREFIX) : "";
    *p = (struct profile){.ipython_dir = str_dup(ipython_dir),
                          .dir = str_dup(dir),
                          .name = str_dup(name),
                          .security_dir = str_path(dir, "security"),
                          .log_dir = str_path(dir, "log"),
                          .pid_dir = str_path(dir, "pid"),
                          .startup_dir = str_path(dir, "startup")};
    if (p->ipython_dir && p->dir && p->name && p->security_dir && p->log_dir && p->pid_dir &&
        p->startup_dir)
        return 0;
    profile_close(p);
    return ERSA_ENOMEM;
}

static bool is_chosen(const struct cli *c)
{
    return options_origin(c->options, "ProfileDir.location") != FROM_DEFAULT ||
           strcmp(options_text(c->options, "BaseIPythonApplication.profile"), "default") != 0;
}

static int is_profile_dir(const struct dirent *e)
{
    return strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0;
}

int cluster_scan_profiles(const struct cli *c, bool all, profile_fn fn, void *ctx)
{
    if (!all || is_chosen(c))
        return fn(ctx, &c->profile);
    struct dirent **entries = NULL;
    int n = scandir(c->profile.ipython_dir, &entries, is_profile_dir, alphasort), rc = 0;
    for (int i = 0; i < n; i++) {
        CLEANUP(free_ptr) char *dir = str_path(c->profile.ipython_dir, entries[i]->d_name);
        struct profile p;
        free(entries[i]);
        if (rc == 0)
            rc = dir ? make_profile(&p, c->profile.ipython_dir, dir) : ERSA_ENOMEM;
        if (rc == 0) {
            rc = fn(ctx, &p);
            profile_close(&p);
        }
    }
    free(entries);
    return rc;
}

struct scan {
    const struct cli *cli;
    const struct profile *profile;
    struct cluster_refs *refs;
};

static void ref_fini(struct cluster_ref *ref)
{
    profile_close(&ref->profile);
    free(ref->title);
    free(ref->id);
    free(ref->path);
}

static char *title_of(const struct profile *p)
{
    size_t len = strlen(p->ipython_dir);
    bool is_inside = strncmp(p->dir, p->ipython_dir, len) == 0 && p->dir[len] == '/' &&
                     !strchr(p->dir + len + 1, '/');
    return str_dup(is_inside && *p->name ? p->name : p->dir);
}

static int on_file(void *ctx, const char *path)
{
    struct scan *s = ctx;
    struct cluster_refs *refs = s->refs;
    if (refs->n == refs->cap) {
        size_t cap = refs->cap ? 2 * refs->cap : 16;
        struct cluster_ref *more = reallocarray(refs->items, cap, sizeof(*more));
        if (!more)
            return ERSA_ENOMEM;
        refs->items = more;
        refs->cap = cap;
    }
    struct cluster_ref *ref = &refs->items[refs->n];
    *ref = (struct cluster_ref){0};
    if (make_profile(&ref->profile, s->profile->ipython_dir, s->profile->dir) < 0)
        return ERSA_ENOMEM;
    const char *name = strrchr(path, '/') + 1 + strlen("cluster-");
    ref->id = str_dup_slice((struct slice){name, strlen(name) - strlen(".json")});
    ref->title = title_of(&ref->profile);
    ref->path = str_dup(path);
    if (!ref->id || !ref->title || !ref->path) {
        ref_fini(ref);
        return ERSA_ENOMEM;
    }
    refs->n++;
    return 0;
}

int cluster_scan(const struct cli *c, const struct profile *p, struct cluster_refs *refs)
{
    struct scan s = {c, p, refs};
    return cluster_file_each(p->security_dir, on_file, &s);
}

void cluster_refs_fini(struct cluster_refs *refs)
{
    for (size_t i = 0; i < refs->n; i++)
        ref_fini(&refs->items[i]);
    free(refs->items);
    *refs = (struct cluster_refs){0};
}
