/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the user's Python on a config file: a small program of ours gives the file its names
 * (`c`, get_config, load_subconfig) and writes what was set as JSON to a pipe. What the file
 * prints goes to stderr. */
#include "config/config_eval.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/python.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"

#define ANSWER_MAX ((size_t)16 << 20)

static const char program[] =
    "import sys\n"
    "if sys.path and sys.path[0] == '':\n"
    "    del sys.path[0]\n"
    "import json, os\n"
    "out = os.fdopen(os.dup(1), 'w')\n"
    "os.dup2(2, 1)\n"
    "main, ipython_dir = sys.argv[1:3]\n"
    "sys.argv[:] = [main]\n"
    "sets, places = {}, {}\n"
    "def place(key):\n"
    "    f = sys._getframe(1)\n"
    "    while f.f_back and f.f_globals is globals():\n"
    "        f = f.f_back\n"
    "    places[key] = [f.f_code.co_filename, f.f_lineno]\n"
    "class Change:\n"
    "    def __init__(self, key):\n"
    "        self.key, self.log = key, {}\n"
    "    def note(self, how, items):\n"
    "        place(self.key)\n"
    "        sets.setdefault(self.key, self)\n"
    "        self.log.setdefault(how, []).extend(items)\n"
    "    def append(self, x): self.note('extend', [x])\n"
    "    def add(self, x): self.note('extend', [x])\n"
    "    def extend(self, xs): self.note('extend', xs)\n"
    "    def insert(self, i, x): self.note('insert', [[i, x]])\n"
    "    def prepend(self, xs):\n"
    "        self.note('prepend', [])\n"
    "        self.log['prepend'][:0] = xs\n"
    "    def update(self, other):\n"
    "        if not isinstance(other, dict):\n"
    "            return self.extend(other)\n"
    "        self.note('update', [])\n"
    "        if not self.log['update']:\n"
    "            self.log['update'] = [{}]\n"
    "        self.log['update'][0].update(other)\n"
    "    def __setitem__(self, k, v): self.update({k: v})\n"
    "class Section:\n"
    "    def __init__(self, name):\n"
    "        object.__setattr__(self, '_name', name)\n"
    "    def __setattr__(self, trait, value):\n"
    "        key = (self._name, trait)\n"
    "        if sets.get(key) is not value or value is None:\n"
    "            sets[key] = value\n"
    "        place(key)\n"
    "    def __getattr__(self, trait):\n"
    "        if trait.startswith('__'):\n"
    "            raise AttributeError(trait)\n"
    "        key = (self._name, trait)\n"
    "        return sets[key] if key in sets else Change(key)\n"
    "    def __contains__(self, trait): return (self._name, trait) in sets\n"
    "    def get(self, trait, default=None): return sets.get((self._name, trait), default)\n"
    "    def update(self, other):\n"
    "        for k, v in other.items():\n"
    "            setattr(self, k, v)\n"
    "    __setitem__, __getitem__ = __setattr__, __getattr__\n"
    "class Config:\n"
    "    def __getattr__(self, name):\n"
    "        if name.startswith('_') or not name[:1].isupper():\n"
    "            raise AttributeError('the config object has no attribute %r' % name)\n"
    "        return Section(name)\n"
    "    def __setattr__(self, name, traits):\n"
    "        if not isinstance(traits, Section):\n"
    "            Section(name).update(traits)\n"
    "    def __contains__(self, name): return any(s == name for s, _ in sets)\n"
    "    __setitem__, __getitem__ = __setattr__, __getattr__\n"
    "c = Config()\n"
    "def run(path):\n"
    "    def load_subconfig(name, path_=None, profile=None, **kw):\n"
    "        folder = kw.get('path', path_) or os.path.dirname(os.path.abspath(path))\n"
    "        if profile is not None:\n"
    "            folder = os.path.join(ipython_dir, 'profile_' + profile)\n"
    "        name = name if name.endswith('.py') else name + '.py'\n"
    "        sub = os.path.join(folder, name)\n"
    "        if os.path.exists(sub):\n"
    "            run(sub)\n"
    "    with open(path, 'rb') as f:\n"
    "        code = compile(f.read(), path, 'exec')\n"
    "    exec(code, {'c': c, 'get_config': lambda: c, 'load_subconfig': load_subconfig,\n"
    "                '__file__': path, '__name__': '__config__'})\n"
    "class Opaque(Exception):\n"
    "    pass\n"
    "def plain(v):\n"
    "    if v is None or isinstance(v, (bool, str)):\n"
    "        return v\n"
    "    if isinstance(v, int):\n"
    "        return int(v)\n"
    "    if isinstance(v, float):\n"
    "        return float(v)\n"
    "    if isinstance(v, (bytes, bytearray)):\n"
    "        return bytes(v).decode('utf-8', 'replace')\n"
    "    if isinstance(v, (list, tuple, set, frozenset)):\n"
    "        return [plain(x) for x in v]\n"
    "    if isinstance(v, dict):\n"
    "        return {str(k): plain(x) for k, x in v.items()}\n"
    "    if isinstance(v, type):\n"
    "        return v.__module__ + '.' + v.__qualname__\n"
    "    if hasattr(v, '__fspath__'):\n"
    "        return os.fspath(v)\n"
    "    if hasattr(v, '__index__'):\n"
    "        return v.__index__()\n"
    "    raise Opaque\n"
    "def entry(key, v):\n"
    "    try:\n"
    "        if isinstance(v, Change):\n"
    "            kind, value = 'change', plain(v.log)\n"
    "        else:\n"
    "            kind, value = 'value', plain(v)\n"
    "    except Opaque:\n"
    "        kind, value = 'opaque', repr(v)\n"
    "    return [key[0], key[1], kind, value] + places[key]\n"
    "try:\n"
    "    run(main)\n"
    "    answer = [entry(k, v) for k, v in sets.items()]\n"
    "except BaseException as e:\n"
    "    line, tb = getattr(e, 'lineno', None) if isinstance(e, SyntaxError) else None, "
    "e.__traceback__\n"
    "    while tb:\n"
    "        if tb.tb_frame.f_code.co_filename == main:\n"
    "            line = tb.tb_lineno\n"
    "        tb = tb.tb_next\n"
    "    text = '%s: %s' % (type(e).__name__, e)\n"
    "    answer = {'error': text, 'line': line or 0}\n"
    "json.dump(answer, out)\n"
    "out.close()\n"
    "os._exit(0)\n";

/* Everything that comes until the other side closes. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        int rc = buf_reserve(out, 65536);
        if (rc < 0)
            return rc;
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
        if (n == 0)
            return 0;
        if (n > 0)
            out->len += (size_t)n;
        else if (errno != EINTR)
            return ERSA_EIO;
    }
}

/* Starts Python with stdout on a pipe; its other end comes back. */
static int start(const char *python, const char *path, const char *ipython_dir, pid_t *ret_pid,
                 int *ret_fd, struct ersa_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, ERSA_EIO, "pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    char *argv[] = {(char *)python,      "-c", (char *)program, (char *)path,
                    (char *)ipython_dir, NULL};
    errno = posix_spawn(ret_pid, python, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (errno) {
        int rc = err_errno(err, ERSA_EUNSUPPORTED, "%s", python);
        close(ends[0]);
        return rc;
    }
    *ret_fd = ends[0];
    return 0;
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* The answer is a list, or what went wrong. */
static int take_answer(const struct buf *text, int status, const char *path, json_t **ret,
                       struct ersa_error *err)
{
    json_t *answer = text->len ? json_loadb((char *)text->data, text->len, 0, NULL) : NULL;
    const char *problem = json_str(answer, "error");
    json_int_t line = json_integer_value(json_object_get(answer, "line"));
    int rc = 0;
    if (problem)
        rc = err_set(err, ERSA_EPARSE, "%s:%lld: %.120s", path, (long long)line, problem);
    else if (!json_is_array(answer))
        rc = err_set(err, ERSA_EPARSE, "%s: Python gave no answer (wait status %d)", path,
                     status);
    if (rc < 0)
        json_decref(answer);
    else
        *ret = answer;
    return rc;
}

int config_eval(const struct profile *p, const char *configured_python, const char *path,
                json_t **ret, struct ersa_error *err)
{
    CLEANUP(free_ptr) char *python = NULL;
    struct ersa_error why = {0};
    pid_t pid = -1;
    CLEANUP(close_fd) int fd = -1;
    if (python_find(configured_python, &python, NULL, &why) < 0 ||
        start(python, path, p->ipython_dir, &pid, &fd, &why) < 0)
        return err_set(err, ERSA_EUNSUPPORTED, "%s was not read, it needs Python: %s", path,
                       why.text);
    struct buf text;
    buf_init(&text, ANSWER_MAX);
    int rc = read_all(fd, &text);
    if (rc < 0)
        close(TAKE_FD(fd)); /* a Python that still writes ends */
    int status = wait_for(pid);
    rc = rc < 0 ? err_set(err, rc, "%s: its values could not be read", path)
                : take_answer(&text, status, path, ret, err);
    buf_fini(&text);
    return rc;
}
