/* SPDX-License-Identifier: BSD-3-Clause */
/* ersa._core.Buffer: octets of a message that came in a block of the engine, as a writable
 * buffer. Arrays are views of it and keep it alive; with the last reference the block goes
 * back. */
#include "state.h"

struct buffer {
    PyObject_HEAD struct chan *chan; /* a reference */
    struct use use;
};

PyObject *buffer_new(struct core_state *st, struct chan *c, struct mapping *m, size_t len)
{
    PyTypeObject *type = (PyTypeObject *)st->buffer_type;
    struct buffer *self = (struct buffer *)type->tp_alloc(type, 0); /* new */
    if (!self)
        return NULL;
    c->refs++;
    self->chan = c;
    borrow_use(&c->borrowed, m, len, &self->use);
    return (PyObject *)self;
}

static void buffer_dealloc(PyObject *o)
{
    struct buffer *self = (struct buffer *)o;
    PyTypeObject *type = Py_TYPE(o);
    if (self->chan) {
        borrow_return(self->chan, &self->use);
        chan_unref(self->chan);
    }
    type->tp_free(o);
    Py_DECREF(type);
}

static int buffer_getbuffer(PyObject *o, Py_buffer *view, int flags)
{
    struct buffer *self = (struct buffer *)o;
    return PyBuffer_FillInfo(view, o, self->use.data, (Py_ssize_t)self->use.len, 0, flags);
}

static Py_ssize_t buffer_length(PyObject *o)
{
    return (Py_ssize_t)((struct buffer *)o)->use.len;
}

static PyObject *buffer_repr(PyObject *o)
{
    return PyUnicode_FromFormat("<ersa buffer of %zd bytes>", buffer_length(o));
}

static PyType_Slot buffer_slots[] = {
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_repr, buffer_repr},
    {Py_tp_doc, "Octets of a message in shared memory; exports a writable buffer."},
    {Py_sq_length, buffer_length},
    {Py_bf_getbuffer, buffer_getbuffer},
    {0, NULL},
};

/* Only the channel makes them. */
#ifndef Py_TPFLAGS_DISALLOW_INSTANTIATION
#define Py_TPFLAGS_DISALLOW_INSTANTIATION 0
#endif

PyType_Spec buffer_spec = {
    .name = "ersa._core.Buffer",
    .basicsize = sizeof(struct buffer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = buffer_slots,
};
