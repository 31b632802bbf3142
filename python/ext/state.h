/* SPDX-License-Identifier: BSD-3-Clause */
/* State of the module ersa._core, one per interpreter, and what its files show each other. The
 * module is for the runtime process: a channel to ipengine (Channel), memory of the engine that
 * user code may keep (Buffer), and the gate that lets SIGINT into user code only. */
#ifndef ERSA_EXT_STATE_H
#define ERSA_EXT_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "chan.h"

/* Where SIGINT finds us. */
enum gate {
    GATE_IDLE,  /* no request: it hits nothing */
    GATE_ARMED, /* a request has come, user code has not begun: it waits for it */
    GATE_OPEN,  /* in user code: KeyboardInterrupt */
    GATE_SHUT,  /* user code is done: it hits nothing */
};

struct core_state {
    PyObject *channel_type, *buffer_type;
    PyObject *protocol_error; /* the engine sent what it should not */
    PyObject *channel_lost;   /* an OSError: nothing can be sent or received any more */
    PyObject *getsignal, *setsignal, *sigint; /* of _signal */
    PyObject *on_sigint;                      /* our handler, once installed */
    PyObject *interrupt_hook;                 /* or NULL, see set_interrupt_hook() */
    enum gate gate;
    bool is_interrupted; /* while armed */
};

extern struct PyModuleDef core_module;
extern PyType_Spec channel_spec, buffer_spec;
extern PyMethodDef gate_methods[];

static inline struct core_state *core_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* New reference: a Buffer over `len` octets of the mapping, which is in use from now on. */
PyObject *buffer_new(struct core_state *st, struct chan *c, struct mapping *m, size_t len);

#endif
