/* SPDX-License-Identifier: BSD-3-Clause */
/* Config files: JSON, Python, order, errors that name file and line. */
#include "config/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/python.h"
#include "config/test_dir.h"

static struct profile profile;

static struct options *fresh(enum program program, char *word)
{
    struct options *o = NULL;
    struct ersa_error err = {0};
    char *argv[] = {"program", word};
    assert_int_equal(options_new(&o, program, &err), 0);
    assert_int_equal(options_parse_argv(o, word ? 2 : 1, argv, &err), 0);
    profile = (struct profile){.dir = test_dir, .ipython_dir = test_dir};
    return o;
}

static int load(struct options *o, struct ersa_error *err)
{
    *err = (struct ersa_error){0};
    return config_files_load(o, &profile, err);
}

static void test_json(void **state)
{
    struct ersa_error err;
    put_file(in_test_dir("ipcontroller_config.json"),
             "{\"version\": 1, \"IPController\": {\"ip\": \"10.0.0.9\", \"log_level\": 10},\n"
             "\"HeartMonitor\": {\"period\": 200}, \"InteractiveShell\": {\"colors\": \"x\"}}");
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    assert_int_equal(load(o, &err), 0);
    assert_string_equal(options_text(o, "IPController.ip"), "10.0.0.9");
    assert_int_equal(options_int(o, "HeartMonitor.period"), 200);
    assert_int_equal(options_int(o, "Application.log_level"), 10);
    char where[300];
    snprintf(where, sizeof(where), "%s:2", in_test_dir("ipcontroller_config.json"));
    assert_string_equal(options_where(o, "HeartMonitor.period"), where);
    assert_int_equal(options_files(o)->n, 1);
    options_free(o);
}

static void test_unknown_trait_in_json(void **state)
{
    struct ersa_error err;
    put_file(in_test_dir("ipcontroller_config.json"),
             "{\n\"HeartMonitor\": {\"period\": 9},\n\"Hub\":\n{\"period\": 7}}\n");
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    assert_int_equal(load(o, &err), ERSA_ENOENT);
    assert_non_null(strstr(err.text, ".json:4: Hub has no option period; did you mean "
                                     "HeartMonitor.period?"));
    options_free(o);
}

static void test_bad_json(void **state)
{
    static const char *const texts[] = {"{",
                                        "[]",
                                        "{\"version\": 2}",
                                        "{\"IPController\": 3}",
                                        "{\"TaskScheduler\": {\"hwm\": \"x\"}}",
                                        "{\"TaskScheduler\": {\"hmw\": 1}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct ersa_error err;
        const char *path = in_test_dir("ipcontroller_config.json");
        put_file(path, texts[i]);
        struct options *o = fresh(PROG_CONTROLLER, NULL);
        if (load(o, &err) >= 0 || strncmp(err.text, path, strlen(path)) != 0)
            fail_msg("%s: '%s'", texts[i], err.text);
        options_free(o);
    }
}

static void test_python(void **state)
{
    struct ersa_error err;
    put_file(in_test_dir("sub.py"), "c.HeartMonitor.max_heartmonitor_misses = 3\n");
    put_file(in_test_dir("ipcontroller_config.py"),
             "# comment\n"
             "c = get_config()  # noqa\n"
             "import os\n"
             "print('noise on stdout')\n"
             "c.IPController.location = os.path.basename(__file__)\n"
             "c.HeartMonitor.period = 100 * 2\n"
             "c.IPController.ports.append(77)\n"
             "c.IPController.ports.extend([78])\n"
             "c.IPController.ports.prepend([76])\n"
             "c.MongoDB.connection_kwargs.update({'host': 'h'})\n"
             "c.Session.key = b'octets'\n"
             "c.InteractiveShell.colors = 'nocolor'\n"
             "c.IPKernelApp.exec_lines.append('import this')\n"
             "c.Weird.thing = lambda: 3\n"
             "if 'period' in c.HeartMonitor:\n"
             "    c['TaskScheduler']['hwm'] = 7\n"
             "load_subconfig('sub')\n"
             "load_subconfig('not_there.py')\n");
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    int rc = load(o, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    assert_string_equal(options_text(o, "IPController.location"), "ipcontroller_config.py");
    assert_int_equal(options_int(o, "HeartMonitor.period"), 200);
    assert_int_equal(options_int(o, "HeartMonitor.max_heartmonitor_misses"), 3);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), 7);
    assert_string_equal(options_text(o, "Session.key"), "octets");
    assert_int_equal(options_ports(o, "IPController.ports")->n, 3);
    assert_int_equal(options_ports(o, "IPController.ports")->numbers[0], 76);
    assert_string_equal(json_str(options_dict(o, "MongoDB.connection_kwargs"), "host"), "h");
    char where[256];
    snprintf(where, sizeof(where), "%s:6", in_test_dir("ipcontroller_config.py"));
    assert_string_equal(options_where(o, "HeartMonitor.period"), where);
    snprintf(where, sizeof(where), "%s:1", in_test_dir("sub.py"));
    assert_string_equal(options_where(o, "HeartMonitor.max_heartmonitor_misses"), where);
    const json_t *foreign = options_foreign(o);
    assert_string_equal(json_str(json_object_get(foreign, "InteractiveShell"), "colors"),
                        "nocolor");
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(foreign, "IPKernelApp"), "exec_lines")),
        1);
    assert_null(json_object_get(foreign, "Weird"));
    assert_int_equal(options_warnings(o)->n, 1);
    options_free(o);
}

static void test_bad_python(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"x = 1\nc.IPController.ip = nonsense\n",
         ":2: NameError: name 'nonsense' is not defined"},
        {"c.IPController.ip = (\n", "SyntaxError"},
        {"import sys\nsys.exit(3)\n", ":2: SystemExit"},
        {"\n\nc.TaskScheduler.hwm = 'x'\n", ":3: TaskScheduler.hwm: 'x' is not allowed"},
        {"c.TaskScheduler.hmw = 1\n", ":1: TaskScheduler has no option hmw; did you mean hwm?"},
        {"\nc.Hub.nosuch = 1\n", ":2: Hub has no option nosuch"},
        {"c.Hub.scheme_nam = 1\n",
         ":1: Hub has no option scheme_nam; did you mean TaskScheduler.scheme_name?"},
        {"c.IPController.ip = object()\n", ":1: IPController.ip: <object object"},
        {"c.lower = 1\nc.lower.x\n", "AttributeError"},
        {"import os\nos._exit(0)\n", "Python gave no answer"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ersa_error err;
        const char *path = in_test_dir("ipcontroller_config.py");
        put_file(path, rows[i].text);
        struct options *o = fresh(PROG_CONTROLLER, NULL);
        if (load(o, &err) >= 0 || !strstr(err.text, rows[i].message) ||
            strncmp(err.text, path, strlen(path)) != 0)
            fail_msg("%s: '%s'", rows[i].text, err.text);
        options_free(o);
    }
    setenv("IPYTHON_SUPPRESS_CONFIG_ERRORS", "1", 1);
    struct ersa_error err;
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    int rc = load(o, &err);
    unsetenv("IPYTHON_SUPPRESS_CONFIG_ERRORS");
    assert_int_equal(rc, 0);
    assert_int_equal(options_warnings(o)->n, 1);
    options_free(o);
}

/* ipython_config of all directories, then the program's; .py, then .json; then --config. */
static void test_order(void **state)
{
    struct ersa_error err;
    put_file(in_test_dir("ipython_config.py"),
             "c.IPController.ip = 'a'\nc.IPController.location = 'a'\nc.IPEngine.timeout = 3\n"
             "c.IPController.ssh_server = 'a'\nc.TerminalIPythonApp.display_banner = False\n");
    put_file(in_test_dir("ipcontroller_config.py"),
             "c.IPController.ip = 'b'\nc.IPController.location = 'b'\n");
    put_file(in_test_dir("ipcontroller_config.json"),
             "{\"IPController\": {\"location\": \"c\"}}");
    put_file(in_test_dir("more.json"), "{\"IPController\": {\"engine_ssh_server\": \"d\"}}");
    put_file(in_test_dir("ipengine_config.py"), "c.IPController.ssh_server = 'e'\n");
    struct options *o = fresh(PROG_CONTROLLER, "--config=more.json");
    assert_int_equal(load(o, &err), 0);
    assert_string_equal(options_text(o, "IPController.ip"), "b");
    assert_string_equal(options_text(o, "IPController.location"), "c");
    assert_string_equal(options_text(o, "IPController.ssh_server"), "a");
    assert_string_equal(options_text(o, "IPController.engine_ssh_server"), "d");
    options_free(o);
    o = fresh(PROG_CONTROLLER, "--config=/nowhere/x.py");
    assert_int_equal(load(o, &err), ERSA_EIO);
    assert_int_equal(options_exit_code(ERSA_EIO), 1);
    options_free(o);
}

static void test_command_line_stands_above(void **state)
{
    struct ersa_error err;
    put_file(in_test_dir("ipcontroller_config.py"), "c.TaskScheduler.hwm = 5\n");
    struct options *o = fresh(PROG_CONTROLLER, "--hwm=9");
    assert_int_equal(load(o, &err), 0);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), 9);
    options_free(o);
}

/* A file with everything commented out needs no Python. */
static void test_no_python(void **state)
{
    struct ersa_error err;
    char *path = strdup(getenv("PATH"));
    setenv("PATH", test_dir, 1);
    put_file(in_test_dir("ipcontroller_config.py"),
             "# Configuration file\n\nc = get_config()  # noqa\n  # c.IPController.ip = 'x'\n");
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    int rc = load(o, &err);
    put_file(in_test_dir("ipcontroller_config.py"), "c.IPController.ip = 'x'\n");
    struct ersa_error err2;
    int rc2 = load(o, &err2);
    setenv("PATH", path, 1);
    free(path);
    options_free(o);
    assert_int_equal(rc, 0);
    assert_int_equal(rc2, ERSA_EUNSUPPORTED);
    assert_non_null(strstr(err2.text, "was not read, it needs Python"));
}

static void test_trust(void **state)
{
    struct ersa_error err;
    const char *path = in_test_dir("ipcontroller_config.json");
    put_file(path, "{}");
    chmod(path, 0666);
    struct options *o = fresh(PROG_CONTROLLER, NULL);
    assert_int_equal(load(o, &err), ERSA_EIO);
    assert_non_null(strstr(err.text, "written by anybody"));
    options_free(o);
}

static void test_which_python(void **state)
{
    struct ersa_error err = {0};
    char *path = NULL;
    const char *source = NULL;
    assert_int_equal(python_find("/nowhere/python3", &path, &source, &err), ERSA_ENOENT);
    assert_int_equal(mkdir(in_test_dir("venv"), 0755), 0);
    assert_int_equal(mkdir(in_test_dir("venv/bin"), 0755), 0);
    put_file(in_test_dir("venv/bin/python3"), "#!/bin/sh\n");
    chmod(in_test_dir("venv/bin/python3"), 0755);
    assert_int_equal(python_find(in_test_dir("venv/bin/python3"), &path, &source, &err), 0);
    assert_string_equal(source, "configured");
    free(path);
    setenv("VIRTUAL_ENV", in_test_dir("venv"), 1);
    assert_int_equal(python_find("", &path, &source, &err), 0);
    assert_string_equal(path, in_test_dir("venv/bin/python3"));
    assert_string_equal(source, "$VIRTUAL_ENV");
    free(path);
    unsetenv("VIRTUAL_ENV");
    assert_int_equal(python_find(NULL, &path, &source, &err), 0);
    assert_string_equal(source, "$PATH");
    free(path);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(test_json),
        T(test_unknown_trait_in_json),
        T(test_bad_json),
        T(test_python),
        T(test_bad_python),
        T(test_order),
        T(test_command_line_stands_above),
        T(test_no_python),
        T(test_trust),
        T(test_which_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
