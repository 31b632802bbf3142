/* SPDX-License-Identifier: BSD-3-Clause */
/* Module ersa._core: multi-phase initialisation, heap types, state per module. CPython 3.9
 * to 3.14. */
#include "state.h"

static int add_constants(PyObject *m)
{
#define X(name, value, direction, parts)          \
    if (PyModule_AddIntConstant(m, #name, value)) \
        return -1;
    RT_TYPES(X)
#undef X
    if (PyModule_AddIntConstant(m, "VERSION", RT_VERSION) < 0 ||
        PyModule_AddIntConstant(m, "SHM_MIN", RT_SHM_MIN) < 0 ||
        PyModule_AddStringConstant(m, "ENV_FD", RT_ENV_FD) < 0 ||
        PyModule_AddStringConstant(m, "LAST_WORDS", RT_LAST_WORDS) < 0)
        return -1;
    return PyModule_AddStringConstant(m, "ERSA_VERSION", ERSA_VERSION);
}

/* Keeps a reference to a type for the state, and shows it. */
static int add_type(PyObject *m, PyType_Spec *spec, PyObject **ret_type)
{
    *ret_type = PyType_FromModuleAndSpec(m, spec, NULL); /* new */
    return *ret_type ? PyModule_AddType(m, (PyTypeObject *)*ret_type) : -1;
}

/* Likewise an exception. */
static int add_exception(PyObject *m, const char *name, PyObject *base, PyObject **ret)
{
    *ret = PyErr_NewException(name, base, NULL); /* new */
    if (!*ret)
        return -1;
    Py_INCREF(*ret);
    if (PyModule_AddObject(m, strrchr(name, '.') + 1, *ret) == 0) /* steals on success */
        return 0;
    Py_DECREF(*ret);
    return -1;
}

static int load_signal(struct core_state *st)
{
    PyObject *s = PyImport_ImportModule("_signal"); /* new, as all below */
    if (!s)
        return -1;
    st->getsignal = PyObject_GetAttrString(s, "getsignal");
    st->setsignal = PyObject_GetAttrString(s, "signal");
    st->sigint = PyObject_GetAttrString(s, "SIGINT");
    Py_DECREF(s);
    return st->getsignal && st->setsignal && st->sigint ? 0 : -1;
}

static int core_exec(PyObject *m)
{
    struct core_state *st = core_state(m);
    if (add_type(m, &channel_spec, &st->channel_type) < 0 ||
        add_type(m, &buffer_spec, &st->buffer_type) < 0 || load_signal(st) < 0)
        return -1;
    if (add_exception(m, "ersa._core.ProtocolError", NULL, &st->protocol_error) < 0 ||
        add_exception(m, "ersa._core.ChannelLost", PyExc_OSError, &st->channel_lost) < 0)
        return -1;
    return add_constants(m);
}

static int core_traverse(PyObject *m, visitproc visit, void *arg)
{
    struct core_state *st = core_state(m);
    Py_VISIT(st->channel_type);
    Py_VISIT(st->buffer_type);
    Py_VISIT(st->protocol_error);
    Py_VISIT(st->channel_lost);
    Py_VISIT(st->getsignal);
    Py_VISIT(st->setsignal);
    Py_VISIT(st->on_sigint);
    Py_VISIT(st->interrupt_hook);
    return 0;
}

static int core_clear(PyObject *m)
{
    struct core_state *st = core_state(m);
    Py_CLEAR(st->channel_type);
    Py_CLEAR(st->buffer_type);
    Py_CLEAR(st->protocol_error);
    Py_CLEAR(st->channel_lost);
    Py_CLEAR(st->getsignal);
    Py_CLEAR(st->setsignal);
    Py_CLEAR(st->sigint);
    Py_CLEAR(st->on_sigint);
    Py_CLEAR(st->interrupt_hook);
    return 0;
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ersa._core",
    .m_doc = "What the Python runtime of an engine does in C.",
    .m_size = sizeof(struct core_state),
    .m_methods = gate_methods,
    .m_slots = core_slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
};

PyMODINIT_FUNC PyInit__core(void); /* the loader looks it up */

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
