/* SPDX-License-Identifier: BSD-3-Clause */
/* ersa._core.Channel: messages to and from ipengine as Python objects. One thread receives, any
 * thread sends. Inline parts of up to 1024 octets come as bytes, larger ones as bytearray (what
 * came as a frame of its own is writable, engine.md 10.2), parts in blocks as Buffer. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define BYTES_MAX 1024u /* above: a writable object */
#define FD_HIGH 60000   /* higher numbers make large descriptor tables */
#define PARTS_ON_STACK 32

struct channel {
    PyObject_HEAD struct chan *chan; /* a reference */
    struct core_state *st;           /* borrowed: the type keeps the module */
    PyObject *owed;                  /* owned: msg_id of a RUN that has no REPLY yet, or NULL */
    bool is_receiving;
};

/* Out of the way of user code that closes what it does not know: above the soft limit if that
 * can be, where no loop over possible descriptors comes by. */
static int move_high(int fd)
{
    struct rlimit was, more;
    int moved = -1;
    if (getrlimit(RLIMIT_NOFILE, &was) == 0 && was.rlim_cur < FD_HIGH) {
        more = was;
        more.rlim_cur = was.rlim_max < was.rlim_cur + 64 ? was.rlim_max : was.rlim_cur + 64;
        if (more.rlim_cur > was.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0) {
            moved = fcntl(fd, F_DUPFD_CLOEXEC, (int)was.rlim_cur);
            setrlimit(RLIMIT_NOFILE, &was);
        }
    }
    for (int from = FD_HIGH; moved < 0 && from > 10; from /= 2)
        moved = fcntl(fd, F_DUPFD_CLOEXEC, from);
    if (moved < 0 || moved == fd)
        return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fd;
    close(fd);
    return moved;
}

static int register_fork_handlers(PyObject *self)
{
    PyObject *os = PyImport_ImportModule("os"); /* new, as all below */
    PyObject *f = os ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    PyObject *before = f ? PyObject_GetAttrString(self, "_before_fork") : NULL;
    PyObject *after = before ? PyObject_GetAttrString(self, "_after_fork") : NULL;
    PyObject *kw =
        after ? Py_BuildValue("{sOsO}", "before", before, "after_in_child", after) : NULL;
    PyObject *none = PyTuple_New(0);
    PyObject *r = kw && none ? PyObject_Call(f, none, kw) : NULL;
    int rc = r ? 0 : -1;
    Py_XDECREF(r);
    Py_XDECREF(none);
    Py_XDECREF(kw);
    Py_XDECREF(after);
    Py_XDECREF(before);
    Py_XDECREF(f);
    Py_XDECREF(os);
    return rc;
}

static PyObject *channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    int fd;
    static char *names[] = {"fd", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i:Channel", names, &fd))
        return NULL;
    int moved = fcntl(fd, F_GETFD) < 0 ? -1 : move_high(fd);
    if (moved < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    struct channel *self = (struct channel *)type->tp_alloc(type, 0); /* new */
    if (!self) {
        close(moved);
        return NULL;
    }
    PyObject *module = PyType_GetModule(type); /* borrowed */
    self->st = module ? core_state(module) : NULL;
    self->chan = self->st ? chan_new(moved) : NULL;
    if (!self->chan || register_fork_handlers((PyObject *)self) < 0) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void channel_dealloc(PyObject *o)
{
    struct channel *self = (struct channel *)o;
    PyTypeObject *type = Py_TYPE(o);
    if (self->chan) {
        chan_close(self->chan);
        chan_unref(self->chan);
    }
    Py_XDECREF(self->owed);
    type->tp_free(o);
    Py_DECREF(type);
}

/* Receiving */

static PyObject *broken(struct channel *self)
{
    PyErr_Format(self->st->protocol_error, "the engine sent %s",
                 self->chan->rx.why ? self->chan->rx.why : "what can't be used");
    chan_close(self->chan);
    return NULL;
}

/* New reference to an object for one part. */
static PyObject *part_object(struct channel *self, const struct rx_part *p)
{
    if (p->map)
        return buffer_new(self->st, self->chan, p->map, p->len);
    if (p->len <= BYTES_MAX)
        return PyBytes_FromStringAndSize((const char *)p->data, (Py_ssize_t)p->len);
    return PyByteArray_FromStringAndSize((const char *)p->data, (Py_ssize_t)p->len);
}

/* New reference to (type, [part, ...]). */
static PyObject *message_object(struct channel *self, const struct rx_message *m)
{
    PyObject *parts = PyList_New(m->n); /* new */
    size_t at = 0;
    for (uint32_t i = 0; parts && i < m->n; i++) {
        struct rx_part p;
        PyObject *o = NULL;
        if (rx_part(self->chan, m, i, &at, &p) < 0)
            broken(self);
        else
            o = part_object(self, &p);
        if (o)
            PyList_SET_ITEM(parts, i, o); /* steals */
        else
            Py_CLEAR(parts);
    }
    if (!PyErr_Occurred())
        rx_done(self->chan);
    if (parts && m->type == RT_RUN && m->n > 1) {
        Py_INCREF(PyList_GET_ITEM(parts, 1));
        Py_XSETREF(self->owed, PyList_GET_ITEM(parts, 1)); /* steals */
    }
    return parts ? Py_BuildValue("IN", (unsigned)m->type, parts) : NULL; /* steals parts */
}

static int send_error(struct channel *self, int err)
{
    if (err == ENOMEM)
        PyErr_NoMemory();
    else if (err == EMSGSIZE)
        PyErr_SetString(PyExc_ValueError, "more buffers than a message may have");
    else if (err) {
        errno = err;
        PyErr_SetFromErrno(self->st->channel_lost);
    }
    return err ? -1 : 0;
}

/* Takes the list of ids to return; the caller frees it. */
static uint32_t *take_returned(struct chan *c, size_t *ret_n)
{
    struct borrowed *b = &c->borrowed;
    uint32_t *ids = b->n_returned ? b->returned : NULL;
    *ret_n = b->n_returned;
    if (ids) {
        b->returned = NULL;
        b->n_returned = b->cap_returned = 0;
    }
    return ids;
}

static void send_returned(struct chan *c)
{
    size_t n;
    uint32_t *ids = take_returned(c, &n);
    if (!ids)
        return;
    Py_BEGIN_ALLOW_THREADS
    tx_send(c, 0, NULL, 0, ids, n); /* that it failed is learned by reading */
    Py_END_ALLOW_THREADS
    free(ids);
}

static PyObject *receive(struct channel *self, bool is_waiting)
{
    struct chan *c = self->chan;
    struct rx_message m;
    for (;;) {
        int rc = rx_next(c, &m);
        if (rc < 0)
            return broken(self);
        if (rc > 0)
            return message_object(self, &m);
        send_returned(c);
        ssize_t n;
        Py_BEGIN_ALLOW_THREADS
        n = rx_read(c, is_waiting);
        Py_END_ALLOW_THREADS
        if (n < 0 && errno == EINTR) {
            if (PyErr_CheckSignals() < 0)
                return NULL;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            Py_RETURN_FALSE;
        } else if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            Py_RETURN_NONE;
        } else if (n < 0) {
            return PyErr_SetFromErrno(self->st->channel_lost);
        }
    }
}

static PyObject *channel_recv(PyObject *o, PyObject *const *args, Py_ssize_t n)
{
    struct channel *self = (struct channel *)o;
    int is_waiting = n > 0 ? PyObject_IsTrue(args[0]) : 1;
    if (is_waiting < 0)
        return NULL;
    bool is_child = chan_is_child(self->chan);
    if (self->is_receiving || is_child) {
        PyErr_SetString(PyExc_RuntimeError, is_child
                                                ? "a forked child has no channel to the engine"
                                                : "another thread is receiving");
        return NULL;
    }
    self->is_receiving = true;
    PyObject *r = receive(self, is_waiting);
    self->is_receiving = false;
    return r;
}

/* Sending */

static int send_views(struct channel *self, uint32_t type, const Py_buffer *views, size_t n)
{
    struct tx_part few[PARTS_ON_STACK];
    struct tx_part *parts = n <= PARTS_ON_STACK ? few : malloc(n * sizeof(*parts));
    if (!parts)
        return send_error(self, ENOMEM);
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct tx_part){views[i].buf, (size_t)views[i].len};
    size_t n_returned;
    uint32_t *returned = take_returned(self->chan, &n_returned);
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = tx_send(self->chan, type, parts, n, returned, n_returned);
    Py_END_ALLOW_THREADS
    free(returned);
    if (parts != few)
        free(parts);
    return send_error(self, rc);
}

static PyObject *channel_send(PyObject *o, PyObject *const *args, Py_ssize_t n_args)
{
    struct channel *self = (struct channel *)o;
    if (n_args < 1 || n_args > 2) {
        PyErr_SetString(PyExc_TypeError, "send(type, parts=())");
        return NULL;
    }
    unsigned long type = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred())
        return NULL;
    if (chan_is_child(self->chan)) {
        PyErr_SetString(PyExc_RuntimeError, "a forked child has no channel to the engine");
        return NULL;
    }
    PyObject *none = n_args < 2 ? PyTuple_New(0) : NULL; /* new */
    PyObject *seq =
        PySequence_Fast(n_args < 2 ? none : args[1], "parts must be a sequence"); /* new */
    Py_XDECREF(none);
    if (!seq)
        return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(seq), i = 0;
    Py_buffer few[PARTS_ON_STACK];
    Py_buffer *views = n <= PARTS_ON_STACK ? few : PyMem_Malloc((size_t)n * sizeof(*views));
    if (!views)
        PyErr_NoMemory();
    for (; views && i < n; i++)
        if (PyObject_GetBuffer(PySequence_Fast_GET_ITEM(seq, i), &views[i], PyBUF_SIMPLE) < 0)
            break;
    int rc = views && i == n ? send_views(self, (uint32_t)type, views, (size_t)n) : -1;
    if (rc == 0 && type == RT_REPLY)
        Py_CLEAR(self->owed);
    while (i > 0)
        PyBuffer_Release(&views[--i]);
    if (views != few)
        PyMem_Free(views);
    Py_DECREF(seq);
    if (rc < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* The rest */

static PyObject *channel_fileno(PyObject *o, PyObject *unused)
{
    return PyLong_FromLong(((struct channel *)o)->chan->fd);
}

static PyObject *channel_close(PyObject *o, PyObject *unused)
{
    chan_close(((struct channel *)o)->chan);
    Py_RETURN_NONE;
}

static PyObject *channel_before_fork(PyObject *o, PyObject *unused)
{
    struct channel *self = (struct channel *)o;
    if (!chan_is_child(self->chan))
        borrow_make_own(&self->chan->borrowed);
    Py_RETURN_NONE;
}

static PyObject *channel_after_fork(PyObject *o, PyObject *unused)
{
    chan_after_fork(((struct channel *)o)->chan);
    Py_RETURN_NONE;
}

/* Known here, as no signal handler can come between the message and this note. */
static PyObject *channel_owed(PyObject *o, void *unused)
{
    PyObject *owed = ((struct channel *)o)->owed;
    owed = owed ? owed : Py_None;
    Py_INCREF(owed);
    return owed;
}

static PyObject *channel_is_child(PyObject *o, void *unused)
{
    return PyBool_FromLong(chan_is_child(((struct channel *)o)->chan));
}

static PyGetSetDef channel_getset[] = {
    {"is_child", channel_is_child, NULL, "Are we a forked child of who made it?", NULL},
    {"owed", channel_owed, NULL, "The msg_id of the RUN that has no REPLY yet, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef channel_methods[] = {
    {"recv", (PyCFunction)(void (*)(void))channel_recv, METH_FASTCALL,
     "recv(wait=True) -> (type, parts); None at the end, False when there is nothing."},
    {"send", (PyCFunction)(void (*)(void))channel_send, METH_FASTCALL,
     "send(type, parts=()): parts are objects with a contiguous buffer. Any thread."},
    {"fileno", channel_fileno, METH_NOARGS, "The descriptor, -1 when closed."},
    {"close", channel_close, METH_NOARGS, "Closes the channel."},
    {"_before_fork", channel_before_fork, METH_NOARGS, NULL},
    {"_after_fork", channel_after_fork, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot channel_slots[] = {
    {Py_tp_new, channel_new},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_methods, channel_methods},
    {Py_tp_getset, channel_getset},
    {Py_tp_doc, "Channel(fd): takes the descriptor of the channel to ipengine."},
    {0, NULL},
};

PyType_Spec channel_spec = {
    .name = "ersa._core.Channel",
    .basicsize = sizeof(struct channel),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = channel_slots,
};
