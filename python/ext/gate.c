/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate for SIGINT (docs/protocol/runtime.md 5). Python runs signal handlers between
 * bytecodes of the main thread, whatever runs there; ours raises KeyboardInterrupt only while
 * the gate is open, that is inside call(). A signal that comes between a request and its user
 * code waits for the user code. */
#include "state.h"

#include <stdio.h>

static PyObject *gate_on_sigint(PyObject *module, PyObject *args)
{
    struct core_state *st = core_state(module);
    if (st->gate == GATE_ARMED)
        st->is_interrupted = true;
    if (st->gate != GATE_OPEN)
        Py_RETURN_NONE;
    if (st->interrupt_hook) {
        PyObject *r = PyObject_CallNoArgs(st->interrupt_hook); /* new */
        int is_done = r ? PyObject_IsTrue(r) : -1;
        Py_XDECREF(r);
        if (is_done < 0)
            return NULL;
        if (is_done)
            Py_RETURN_NONE;
    }
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return NULL;
}

/* Puts our handler (back) in place; user code may have set another one. Keeps a raised
 * exception. */
static int install(struct core_state *st)
{
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyObject *now = PyObject_CallFunctionObjArgs(st->getsignal, st->sigint, NULL); /* new */
    int rc = now ? 0 : -1;
    if (now && now != st->on_sigint) {
        PyObject *r =
            PyObject_CallFunctionObjArgs(st->setsignal, st->sigint, st->on_sigint, NULL);
        rc = r ? 0 : -1;
        Py_XDECREF(r);
    }
    Py_XDECREF(now);
    if (type) {
        PyErr_Clear();
        PyErr_Restore(type, value, tb);
    }
    return rc;
}

static PyObject *gate_install(PyObject *module, PyObject *unused)
{
    struct core_state *st = core_state(module);
    if (!st->on_sigint) {
        st->on_sigint = PyObject_GetAttrString(module, "_on_sigint"); /* new */
        if (!st->on_sigint)
            return NULL;
    }
    if (install(st) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* A request has come. What was meant for the one before is dropped first. */
static PyObject *gate_arm(PyObject *module, PyObject *unused)
{
    struct core_state *st = core_state(module);
    st->gate = GATE_IDLE;
    if (PyErr_CheckSignals() < 0)
        return NULL;
    st->is_interrupted = false;
    st->gate = GATE_ARMED;
    Py_RETURN_NONE;
}

static PyObject *gate_disarm(PyObject *module, PyObject *unused)
{
    core_state(module)->gate = GATE_IDLE;
    Py_RETURN_NONE;
}

/* Opens; false with KeyboardInterrupt when the signal was there before. */
static bool open_gate(struct core_state *st)
{
    bool was_armed = st->gate == GATE_ARMED;
    st->gate = GATE_OPEN;
    if (was_armed && st->is_interrupted) {
        st->is_interrupted = false;
        st->gate = GATE_SHUT;
        PyErr_SetNone(PyExc_KeyboardInterrupt);
        return false;
    }
    return true;
}

static PyObject *gate_call(PyObject *module, PyObject *const *args, Py_ssize_t n,
                           PyObject *names)
{
    struct core_state *st = core_state(module);
    if (n < 1) {
        PyErr_SetString(PyExc_TypeError, "call(function, *args, **kwargs)");
        return NULL;
    }
    bool is_outer = st->gate != GATE_OPEN;
    if (is_outer && !open_gate(st))
        return NULL;
    PyObject *r = PyObject_Vectorcall(args[0], args + 1, (size_t)(n - 1), names); /* new */
    if (!is_outer)
        return r;
    st->gate = GATE_SHUT;
    fflush(stdout); /* what C code left there; the reply comes after it */
    if (st->on_sigint && install(st) < 0)
        PyErr_Clear();
    return r;
}

/* For code that runs in pieces, on an event loop. */
static PyObject *gate_open(PyObject *module, PyObject *unused)
{
    if (!open_gate(core_state(module)))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *gate_shut(PyObject *module, PyObject *unused)
{
    core_state(module)->gate = GATE_SHUT;
    Py_RETURN_NONE;
}

static PyObject *gate_set_hook(PyObject *module, PyObject *hook)
{
    struct core_state *st = core_state(module);
    PyObject *old = st->interrupt_hook;
    if (hook != Py_None)
        Py_INCREF(hook);
    st->interrupt_hook = hook == Py_None ? NULL : hook;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

PyMethodDef gate_methods[] = {
    {"_on_sigint", gate_on_sigint, METH_VARARGS, NULL},
    {"install_sigint", gate_install, METH_NOARGS, "Makes the gate the handler of SIGINT."},
    {"arm", gate_arm, METH_NOARGS, "A request has come: SIGINT waits for its user code."},
    {"disarm", gate_disarm, METH_NOARGS, "No request is under way: SIGINT hits nothing."},
    {"call", (PyCFunction)(void (*)(void))gate_call, METH_FASTCALL | METH_KEYWORDS,
     "call(f, *args, **kwargs) -> f(...), in which SIGINT raises KeyboardInterrupt."},
    {"open_gate", gate_open, METH_NOARGS, "As call() begins."},
    {"shut_gate", gate_shut, METH_NOARGS, "As call() ends."},
    {"set_interrupt_hook", gate_set_hook, METH_O,
     "Asked first while the gate is open; true: it dealt with the signal. None: no hook."},
    {NULL, NULL, 0, NULL},
};
