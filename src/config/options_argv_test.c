/* SPDX-License-Identifier: BSD-3-Clause */
/* What does not fit on a command line, and what is for others: stray words, classes that are
 * not ours, options of the programs that ipcluster starts. */
#include "config/options_rig.h"

static void test_stray_words(void **state)
{
    static const struct refusal r[] = {
        {"foo", 2, "unexpected word 'foo'"},
        {"debug", 2, "unexpected word 'debug'; did you mean --debug?"},
        {"4", 2, "unexpected word '4'"},
    };
    static const enum program programs[] = {PROG_CONTROLLER,    PROG_ENGINE,
                                            PROG_CLUSTER_START, PROG_CLUSTER_ENGINES,
                                            PROG_CLUSTER_LIST,  PROG_CLUSTER_CLEAN};
    for (size_t p = 0; p < sizeof(programs) / sizeof(programs[0]); p++)
        refuses(programs[p], r, sizeof(r) / sizeof(r[0]));
    struct ersa_error err;
    struct options *o = fresh(PROG_CLUSTER_STOP);
    assert_int_equal(PARSE(o, &err, "one", "--debug", "two"), 0);
    assert_int_equal(options_words(o)->n, 2);
    assert_string_equal(options_words(o)->items[1], "two");
    assert_int_equal(PARSE(o, &err, "--", "three"), ERSA_ENOENT);
    options_free(o);
    o = fresh(PROG_CONTROLLER);
    assert_int_equal(PARSE(o, &err, "--", "--nodb"), ERSA_ENOENT);
    options_free(o);
}

static void test_classes_without_that_option(void **state)
{
    static const struct refusal r[] = {
        {"--Hub.nosuch=1", 2, "unknown option --Hub.nosuch"},
        {"--Hub.db=1", 2, "unknown option --Hub.db"},
        {"--Hub.record_limits=1", 2, "did you mean --DictDB.record_limit?"},
        {"--HeartMonitor.scheme_name=lru", 2, "did you mean --TaskScheduler.scheme_name?"},
        {"--InteractiveShell.colors=x", 2, "nothing here is called InteractiveShell"},
        {"--TaskSchedular.hwm=3", 2, "did you mean --TaskScheduler.hwm?"},
    };
    refuses(PROG_CONTROLLER, r, sizeof(r) / sizeof(r[0]));
    refuses(PROG_ENGINE, &r[5], 1);
    refuses(PROG_CLUSTER_START, &r[5], 1);
}

static void test_classes_of_ipython(void **state)
{
    struct options *o = fresh(PROG_ENGINE);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--InteractiveShell.colors=nocolor", "--IPKernelApp.x=1",
                           "--IPythonKernel.x=1", "--IPCompleter.x=1", "--Kernel.x=1",
                           "--HistoryManager.x=1", "--ZMQInteractiveShell.x=1"),
                     0);
    const json_t *shell = json_object_get(options_foreign(o), "InteractiveShell");
    assert_string_equal(json_str(shell, "colors"), "nocolor");
    assert_int_equal(json_object_size(options_foreign(o)), 7);
    assert_int_equal(options_warnings(o)->n, 0);
    options_free(o);
}

/* Options of a program that has nothing to do with this one: as the reference has it they do no
 * harm, but they are told. */
static void test_options_of_others(void **state)
{
    struct options *o = fresh(PROG_ENGINE);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--IPController.ip=1.2.3.4", "--IPController.log_level=10",
                           "--MPILauncher.mpi_cmd=orterun"),
                     0);
    assert_int_equal(options_int(o, "Application.log_level"), 20);
    assert_int_equal(options_warnings(o)->n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(options_warnings(o)->items[i], "no effect"));
    assert_int_equal(json_object_size(options_foreign(o)), 0);
    options_free(o);
}

static void assert_handed_on(const struct options *o, enum program to, const char *const *want)
{
    const struct option_list *l = options_handed_on(o, to);
    size_t n = 0;
    for (; want[n]; n++) {
        assert_true(n < l->n);
        assert_string_equal(l->items[n], want[n]);
    }
    assert_int_equal(l->n, n);
}

static void test_ipcluster_hands_on(void **state)
{
    struct options *o = fresh(PROG_CLUSTER_START);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--IPEngine.python=/opt/python3", "--TaskScheduler.hwm",
                           "3", "--Session.username=me", "--IPEngine.log_level=DEBUG",
                           "--IPControllerApp.ip=10.0.0.1", "--InteractiveShell.colors=nocolor",
                           "--Application.log_level=WARN", "--Cluster.n=3",
                           "--IPKernelApp.exec_lines=a b", "--IPKernelApp.exec_lines=c"),
                     0);
    assert_handed_on(o, PROG_CONTROLLER,
                     (const char *const[]){"--TaskScheduler.hwm=3", "--Session.username=me",
                                           "--IPController.ip=10.0.0.1", NULL});
    assert_handed_on(o, PROG_ENGINE,
                     (const char *const[]){
                         "--IPEngine.python=/opt/python3", "--Session.username=me",
                         "--IPEngine.log_level=DEBUG", "--InteractiveShell.colors=nocolor",
                         "--IPKernelApp.exec_lines=a b", "--IPKernelApp.exec_lines=c", NULL});
    assert_int_equal(options_int(o, "Application.log_level"), 30);
    assert_int_equal(options_int(o, "Cluster.n"), 3);
    assert_int_equal(options_warnings(o)->n, 1); /* the former name */
    options_free(o);

    o = fresh(PROG_CLUSTER_ENGINES);
    assert_int_equal(PARSE(o, &err, "--IPEngine.timeout=3", "--IPController.ip=*"), 0);
    assert_handed_on(o, PROG_CONTROLLER, (const char *const[]){NULL});
    assert_handed_on(o, PROG_ENGINE, (const char *const[]){"--IPEngine.timeout=3", NULL});
    assert_int_equal(options_warnings(o)->n, 1);
    options_free(o);
}

static void test_what_is_handed_on_is_checked(void **state)
{
    static const struct refusal r[] = {
        {"--IPEngine.timeout=soon", 1, "--IPEngine.timeout=soon: IPEngine.timeout: 'soon'"},
        {"--TaskScheduler.hwm=x", 1, "TaskScheduler.hwm"},
        {"--IPEngine.pyhton=x", 2, "did you mean --IPEngine.python?"},
    };
    refuses(PROG_CLUSTER_START, r, sizeof(r) / sizeof(r[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_stray_words),        T(test_classes_without_that_option),
        T(test_classes_of_ipython), T(test_options_of_others),
        T(test_ipcluster_hands_on), T(test_what_is_handed_on_is_checked),
    };
    (void)in_test_dir;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
