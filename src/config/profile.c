/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds and opens the profile directory. */
#include "config/profile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/file.h"
#include "util/str.h"

#define README_TEXT                                                                        \
    "Scripts (.py, .ipy) in this directory are run by every engine at its start, in the\n" \
    "order of their names.\n"

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Text of paths */

/* The home directory: $HOME, else what the user database says; symbolic links resolved. */
static char *home_dir(void)
{
    const char *home = getenv("HOME");
    if (!home || !*home) {
        const struct passwd *pw = getpwuid(getuid());
        home = pw ? pw->pw_dir : "/";
    }
    char *real = realpath(home, NULL);
    return real ? real : str_dup(home);
}

/* "~" or "~user" at the start; *path moves behind it. */
static int put_home(struct buf *out, const char **path)
{
    size_t len = strcspn(*path, "/");
    CLEANUP(free_ptr) char *home = NULL;
    if (len == 1) {
        home = home_dir();
    } else {
        CLEANUP(free_ptr) char *user = str_dup_slice((struct slice){*path + 1, len - 1});
        const struct passwd *pw = user ? getpwnam(user) : NULL;
        if (!pw)
            return 0;
        home = str_dup(pw->pw_dir);
    }
    *path += len;
    return home ? buf_puts(out, home) : ERSA_ENOMEM;
}

/* $VAR or ${VAR}; one that is not set stays as it is. */
static int put_variable(struct buf *out, const char **path)
{
    const char *at = *path + 1;
    bool braced = *at == '{';
    const char *name = at + braced;
    size_t len = 0;
    while (isalnum((unsigned char)name[len]) || name[len] == '_')
        len++;
    bool is_whole = len && (!braced || name[len] == '}');
    CLEANUP(free_ptr) char *copy = str_dup_slice((struct slice){name, len});
    if (!copy)
        return ERSA_ENOMEM;
    const char *value = is_whole ? getenv(copy) : NULL;
    if (!value) {
        *path += 1;
        return buf_putc(out, '$');
    }
    *path = name + len + braced;
    return buf_puts(out, value);
}

char *path_expand(const char *path)
{
    struct buf out;
    buf_init(&out, PATH_MAX);
    int rc = *path == '~' ? put_home(&out, &path) : 0;
    while (rc == 0 && *path)
        rc = *path == '$' ? put_variable(&out, &path) : buf_putc(&out, *path++);
    char *text = rc == 0 ? buf_cstr(&out) : NULL;
    text = text ? str_dup(text) : NULL;
    buf_fini(&out);
    return text;
}

char *path_normal(const char *path)
{
    CLEANUP(free_ptr) char *from = NULL;
    if (*path == '/') {
        from = str_dup(path);
    } else {
        CLEANUP(free_ptr) char *cwd = getcwd(NULL, 0);
        from = cwd ? str_path(cwd, path) : NULL;
    }
    if (!from)
        return NULL;
    char *out = malloc(strlen(from) + 2);
    if (!out)
        return NULL;
    size_t n = 0;
    for (const char *at = from; *at;) {
        at += strspn(at, "/");
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.') {
            while (n && out[--n] != '/')
                ;
        } else if (len && !(len == 1 && at[0] == '.')) {
            out[n++] = '/';
            memcpy(out + n, at, len);
            n += len;
        }
        at += len;
    }
    if (!n)
        out[n++] = '/';
    out[n] = 0;
    return out;
}

static char *path_clean(const char *path)
{
    CLEANUP(free_ptr) char *expanded = path_expand(path);
    return expanded ? path_normal(expanded) : NULL;
}

char *profile_file(const char *dir, const char *base, const char *cluster_id,
                   const char *suffix)
{
    return str_printf("%s/%s%s%s%s", dir, base, *cluster_id ? "-" : "", cluster_id, suffix);
}

char *profile_connection_file(const struct profile *p, const char *cluster_id, bool engine_side)
{
    return profile_file(p->security_dir, "ipcontroller", cluster_id,
                        engine_side ? "-engine.json" : "-client.json");
}

/* Where */

static char *xdg_dir(const char *home)
{
    const char *xdg = getenv("XDG_CONFIG_HOME");
    char *dir = xdg && *xdg ? str_path(xdg, "ipython") : str_printf("%s/.config/ipython", home);
    struct stat st;
    if (dir && lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK) == 0)
        return dir;
    free(dir);
    return NULL;
}

static char *find_ipython_dir(struct options *o)
{
    const char *given = options_text(o, "BaseIPythonApplication.ipython_dir");
    const char *old = getenv("IPYTHON_DIR");
    if (*given)
        return path_clean(given);
    if (old && *old) {
        options_warn(o, "IPYTHON_DIR is an old name; use IPYTHONDIR");
        return path_clean(old);
    }
    CLEANUP(free_ptr) char *home = home_dir();
    CLEANUP(free_ptr) char *dot = home ? str_path(home, ".ipython") : NULL;
    CLEANUP(free_ptr) char *xdg = home ? xdg_dir(home) : NULL;
    if (dot && xdg && is_dir(dot))
        options_warn(o, "both %s and %s are there: the first is used", dot, xdg);
    else if (dot && xdg)
        return path_clean(xdg);
    return dot ? path_clean(dot) : NULL;
}

static int set_paths(struct profile *p, struct ersa_error *err)
{
    const char *base = strrchr(p->dir, '/') + 1;
    if (!p->name)
        p->name = str_dup(strncmp(base, "profile_", 8) == 0 ? base + 8 : "");
    p->security_dir = str_path(p->dir, "security");
    p->log_dir = str_path(p->dir, "log");
    p->pid_dir = str_path(p->dir, "pid");
    p->startup_dir = str_path(p->dir, "startup");
    if (!p->name || !p->security_dir || !p->log_dir || !p->pid_dir || !p->startup_dir)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return 0;
}

int profile_resolve(struct profile *ret, struct options *o, struct ersa_error *err)
{
    *ret = (struct profile){0};
    struct profile p = {0};
    const char *location = options_text(o, "ProfileDir.location");
    const char *name = options_text(o, "BaseIPythonApplication.profile");
    bool by_path = *location && options_origin(o, "ProfileDir.location") >=
                                    options_origin(o, "BaseIPythonApplication.profile");
    if (!by_path && (!*name || strchr(name, '/')))
        return err_set(err, ERSA_EINVAL, "'%s' cannot be the name of a profile", name);
    p.ipython_dir = find_ipython_dir(o);
    if (by_path) {
        p.dir = path_clean(location);
    } else if (p.ipython_dir) {
        p.dir = str_printf("%s/profile_%s", p.ipython_dir, name);
        p.name = str_dup(name);
    }
    int rc = p.ipython_dir && p.dir ? set_paths(&p, err)
                                    : err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc < 0)
        profile_close(&p);
    else
        *ret = p;
    return rc;
}

/* Opening */

static int check_owner(const char *dir, struct ersa_error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return err_errno(err, ERSA_EIO, "%s", dir);
    if (st.st_uid != geteuid() && geteuid() != 0)
        return err_set(err, ERSA_EIO, "%s belongs to another user", dir);
    return 0;
}

static int make_private(const char *dir, struct ersa_error *err)
{
    int rc = file_mkdirs(dir, 0700, err);
    if (rc == 0)
        rc = check_owner(dir, err);
    struct stat st;
    if (rc == 0 && stat(dir, &st) == 0 && (st.st_mode & 077) && chmod(dir, 0700) < 0)
        rc = err_errno(err, ERSA_EIO, "%s", dir);
    return rc;
}

static int make_sub_dirs(const struct profile *p, struct ersa_error *err)
{
    int rc = make_private(p->security_dir, err);
    if (rc == 0)
        rc = make_private(p->pid_dir, err);
    if (rc == 0)
        rc = file_mkdirs(p->log_dir, 0755, err);
    bool has_startup = is_dir(p->startup_dir);
    if (rc == 0 && !has_startup)
        rc = file_mkdirs(p->startup_dir, 0755, err);
    if (rc < 0 || has_startup)
        return rc;
    CLEANUP(free_ptr) char *readme = str_path(p->startup_dir, "README");
    return readme ? file_write_atomic(readme, README_TEXT, strlen(README_TEXT), 0644, err)
                  : err_set(err, ERSA_ENOMEM, "out of memory");
}

int profile_open(struct profile *ret, struct options *o, struct ersa_error *err)
{
    struct profile p;
    int rc = profile_resolve(&p, o, err);
    if (rc < 0)
        return rc;
    *ret = (struct profile){0};
    bool by_path = strcmp(options_text(o, "BaseIPythonApplication.profile"), p.name) != 0;
    bool may_make =
        options_bool(o, "BaseIPythonApplication.auto_create") || strcmp(p.name, "default") == 0;
    if (!is_dir(p.dir) && !may_make)
        rc = by_path ? err_set(err, ERSA_ENOENT, "Profile directory '%s' not found.", p.dir)
                     : err_set(err, ERSA_ENOENT, "Profile '%s' not found.", p.name);
    if (rc == 0)
        rc = file_mkdirs(p.dir, 0755, err);
    if (rc == 0)
        rc = make_sub_dirs(&p, err);
    if (rc < 0)
        profile_close(&p);
    else
        *ret = p;
    return rc;
}

void profile_close(struct profile *p)
{
    free(p->ipython_dir);
    free(p->dir);
    free(p->name);
    free(p->security_dir);
    free(p->log_dir);
    free(p->pid_dir);
    free(p->startup_dir);
    *p = (struct profile){0};
}

/* <program>-[<anything>-]<digits>.{log,err,out} */
static bool is_log_of(const char *name, const char *program)
{
    size_t n = strlen(program);
    if (strncmp(name, program, n) != 0 || name[n] != '-')
        return false;
    const char *dot = strrchr(name, '.');
    if (!dot ||
        (strcmp(dot, ".log") != 0 && strcmp(dot, ".err") != 0 && strcmp(dot, ".out") != 0))
        return false;
    const char *digits = dot;
    while (isdigit((unsigned char)digits[-1]))
        digits--;
    return digits < dot && digits[-1] == '-';
}

/* A program in the background holds a shared lock on the log that it writes. */
static bool is_in_use(int dir_fd, const char *name)
{
    CLEANUP(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void profile_clean_logs(const struct profile *p, const char *program)
{
    DIR *dir = opendir(p->log_dir);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));)
        if (is_log_of(e->d_name, program) && !is_in_use(dirfd(dir), e->d_name))
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}
