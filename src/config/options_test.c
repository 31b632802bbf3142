/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, values and their ranks. */
#include "config/options_rig.h"

static void test_defaults(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    assert_string_equal(options_text(o, "IPController.ip"), "127.0.0.1");
    assert_int_equal(options_int(o, "HeartMonitor.period"), 3000);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), OPTION_AUTO);
    assert_int_equal(options_int(o, "Application.log_level"), 20);
    assert_string_equal(options_text(o, "IPController.db_class"), "DictDB");
    assert_false(options_is_set(o, "Session.key"));
    assert_false(options_is_set(o, "TaskScheduler.client_limit"));
    assert_true(options_bool(o, "BaseIPythonApplication.auto_create"));
    assert_int_equal(options_origin(o, "TaskScheduler.hwm"), FROM_DEFAULT);
    assert_string_equal(options_where(o, "TaskScheduler.hwm"), "default");
    assert_int_equal(options_caps(o), 63);
    options_free(o);
    o = fresh(PROG_ENGINE);
    assert_false(options_bool(o, "BaseIPythonApplication.auto_create"));
    options_free(o);
}

static void test_forms(void **state)
{
    struct options *o = fresh(PROG_CLUSTER_START);
    struct ersa_error err;
    static const char *const forms[][2] = {
        {"-n=5", NULL},       {"--n=5", NULL},
        {"-n", "5"},          {"--n", "5"},
        {"-n5", NULL},        {"--Cluster.n=5", NULL},
        {"--Cluster.n", "5"}, {"--IPClusterStart.n=5", NULL}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        assert_int_equal(PARSE(o, &err, "-n", "4"), 0);
        assert_int_equal(options_int(o, "Cluster.n"), 4);
        assert_int_equal(PARSE(o, &err, (char *)forms[i][0], (char *)forms[i][1]), 0);
        assert_int_equal(options_int(o, "Cluster.n"), 5);
    }
    assert_int_equal(PARSE(o, &err, "--n=None"), 0);
    assert_false(options_is_set(o, "Cluster.n"));
    assert_int_equal(PARSE(o, &err, "--daemonize", "--", "--nodb", "-x"), 0);
    assert_true(options_bool(o, "IPClusterEngines.daemonize"));
    assert_int_equal(options_rest(o)->n, 2);
    assert_string_equal(options_rest(o)->items[0], "--nodb");
    assert_int_equal(PARSE(o, &err, "--daemonize=False"), 0);
    assert_false(options_bool(o, "IPClusterEngines.daemonize"));
    options_free(o);
}

static void test_left_to_right(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--debug", "--log-level=error"), 0);
    assert_int_equal(options_int(o, "Application.log_level"), 40);
    assert_int_equal(PARSE(o, &err, "--log-level=ERROR", "--debug"), 0);
    assert_int_equal(options_int(o, "Application.log_level"), 10);
    assert_string_equal(options_where(o, "Application.log_level"), "--debug");
    assert_int_equal(PARSE(o, &err, "--quiet", "--IPController.log_level=15"), 0);
    assert_int_equal(options_int(o, "Application.log_level"), 15);
    assert_int_equal(options_origin(o, "Application.log_level"), FROM_ARGV);
    options_free(o);
}

static void test_flags_that_set_two(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--restore", "--nodb", "--no-secure"), 0);
    assert_true(options_bool(o, "IPController.restore_engines"));
    assert_true(options_bool(o, "IPController.reuse_files"));
    assert_string_equal(options_text(o, "IPController.db_class"), "NoDB");
    assert_true(options_is_set(o, "Session.key"));
    assert_string_equal(options_text(o, "Session.key"), "");
    assert_int_equal(PARSE(o, &err, "--secure"), 0);
    assert_int_equal(strlen(options_text(o, "Session.key")), 33);
    options_free(o);
}

static void test_lists_grow(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--ports=10101-10103,10108", "--ports", "99"), 0);
    const struct option_ports *p = options_ports(o, "IPController.ports");
    assert_int_equal(p->n, 5);
    assert_int_equal(p->numbers[2], 10103);
    assert_int_equal(p->numbers[4], 99);
    assert_int_equal(PARSE(o, &err, "--Ersa.disable=attach,ready", "--Ersa.disable=begun"), 0);
    assert_int_equal(options_caps(o), 8 | 16 | 32);
    assert_int_equal(PARSE(o, &err, "--MongoDB.connection_kwargs", "host=h",
                           "--MongoDB.connection_kwargs=port=3"),
                     0);
    assert_string_equal(json_str(options_dict(o, "MongoDB.connection_kwargs"), "port"), "3");
    assert_int_equal(PARSE(o, &err, "--MongoDB.connection_kwargs={'a': 1}"), 0);
    assert_int_equal(json_object_size(options_dict(o, "MongoDB.connection_kwargs")), 1);
    options_free(o);
}

static void test_units(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--ping=2s", "--TaskScheduler.client_limit=64K",
                           "--IPController.registration_timeout=1500ms"),
                     0);
    assert_int_equal(options_int(o, "HeartMonitor.period"), 2000);
    assert_int_equal(options_int(o, "TaskScheduler.client_limit"), 65536);
    assert_true(options_float(o, "IPController.registration_timeout") == 1.5);
    options_free(o);
}

static void test_unknown_names_the_nearest(void **state)
{
    static const struct refusal r[] = {
        {"--prof=x", 2, "did you mean --profile?"},
        {"--nodbb", 2, "did you mean --nodb?"},
        {"--hwmm=1", 2, "did you mean --hwm?"},
        {"--TaskScheduler.hmw=1", 2, "did you mean --TaskScheduler.hwm?"},
        {"--no-such-option", 2, "unknown option --no-such-option"},
        {"-z", 2, "unknown option -z"},
        {"--nodb=1", 2, "takes no value"},
        {"--ip", 2, "needs a value"},
        {"--IPController.enggine_ip=3", 2, "did you mean --IPController.engine_ip?"},
    };
    refuses(PROG_CONTROLLER, r, sizeof(r) / sizeof(r[0]));
}

static void test_unknown_names_whose_it_is(void **state)
{
    static const struct refusal r[] = {
        {"--sqlitedb", 2, "unknown option --sqlitedb; the controller has it: put it behind --"},
        {"--hwm=3", 2, "the controller has it"},
        {"--python=/opt/python3", 2, "--python; did you mean --IPEngine.python?"},
    };
    refuses(PROG_CLUSTER_START, r, sizeof(r) / sizeof(r[0]));
}

static void test_auto(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--hwm=7"), 0);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), 7);
    assert_int_equal(PARSE(o, &err, "--hwm=0"), 0);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), 0);
    assert_int_equal(PARSE(o, &err, "--hwm=Auto"), 0);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), OPTION_AUTO);
    options_free(o);
}

static void test_bad_values(void **state)
{
    static const struct refusal r[] = {
        {"--hwm=x", 1,
         "--hwm=x: TaskScheduler.hwm: 'x' is not allowed; auto, or a whole number"},
        {"--hwm=-1", 1, "from 0"},
        {"--hwm=1.5", 1, "not allowed"},
        {"--scheme=foo", 1, "one of: leastload pure"},
        {"--ports=0", 1, "ports from 1 to 65535"},
        {"--ports=65536", 1, "ports from 1 to 65535"},
        {"--ports=10-5", 1, "ports from 1 to 65535"},
        {"--ports=10-12,11", 1, "port 11 is there twice"},
        {"--ports=1,x", 1, "ports from 1"},
        {"--reuse=maybe", 2, "takes no value"},
        {"--IPController.reuse_files=maybe", 1, "true or false"},
        {"--log-level=loud", 1, "DEBUG"},
        {"--log-level=60", 1, "DEBUG"},
        {"--ping=0", 1, "from 1"},
        {"--ping=1h", 1, "milliseconds"},
        {"--DictDB.cull_fraction=2", 1, "from 0 to 1"},
        {"--DictDB.cull_fraction=nan", 1, "not allowed"},
        {"--DictDB.record_limit=1e300", 1, "not allowed"},
        {"--Ersa.disable=telepathy", 1, "some of: attach"},
        {"--TaskScheduler.client_limit=-1", 1, "octets"},
    };
    refuses(PROG_CONTROLLER, r, sizeof(r) / sizeof(r[0]));
}

static void test_secrets_stay_secret(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, "--Session.key=open-sesame"), 0);
    assert_string_equal(options_text(o, "Session.key"), "open-sesame");
    assert_null(strstr(options_where(o, "Session.key"), "sesame"));
    assert_int_equal(options_warnings(o)->n, 1);
    assert_null(strstr(options_warnings(o)->items[0], "sesame"));
    options_free(o);
}

static void test_environment(void **state)
{
    struct options *o = NULL;
    struct ersa_error err = {0};
    setenv("IPP_CLUSTER_ID", "from-env", 1);
    setenv("IPP_SESSION_KEY", "k", 1);
    o = fresh(PROG_CONTROLLER);
    assert_string_equal(options_text(o, "BaseParallelApplication.cluster_id"), "from-env");
    assert_int_equal(options_origin(o, "Session.key"), FROM_ENV);
    assert_string_equal(options_where(o, "Session.key"), "$IPP_SESSION_KEY");
    json_t *file = json_string("from-file");
    assert_int_equal(options_set_json(o, "IPController", "cluster_id", file, "f:1", &err), 0);
    assert_string_equal(options_text(o, "BaseParallelApplication.cluster_id"), "from-env");
    assert_int_equal(PARSE(o, &err, "--cluster-id=argv"), 0);
    assert_string_equal(options_text(o, "BaseParallelApplication.cluster_id"), "argv");
    json_decref(file);
    options_free(o);
    setenv("IPP_ENABLE_CURVE", "perhaps", 1);
    assert_int_equal(options_new(&o, PROG_CONTROLLER, &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "$IPP_ENABLE_CURVE"));
}

static int set(struct options *o, const char *section, const char *trait, const char *json,
               struct ersa_error *err)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    *err = (struct ersa_error){0};
    int rc = options_set_json(o, section, trait, value, "file:7", err);
    json_decref(value);
    return rc;
}

static void test_sections(void **state)
{
    struct options *o = fresh(PROG_CLUSTER_START);
    struct ersa_error err;
    /* The more derived section wins, whichever comes first. */
    assert_int_equal(set(o, "IPClusterStart", "log_level", "30", &err), 0);
    assert_int_equal(set(o, "Application", "log_level", "10", &err), 0);
    assert_int_equal(options_int(o, "Application.log_level"), 30);
    /* Another program's section does not count. */
    assert_int_equal(set(o, "IPController", "log_level", "\"DEBUG\"", &err), 0);
    assert_int_equal(options_int(o, "Application.log_level"), 30);
    /* A base class reaches every launcher below it; the nearest class wins. */
    assert_int_equal(set(o, "LocalEngineLauncher", "stop_seconds_until_kill", "2", &err), 0);
    assert_int_equal(set(o, "BaseLauncher", "stop_timeout", "9", &err), 0);
    assert_int_equal(set(o, "LocalProcessLauncher", "stop_seconds_until_kill", "3", &err), 0);
    assert_true(options_float(o, "LocalControllerLauncher.stop_seconds_until_kill") == 3);
    assert_true(options_float(o, "LocalEngineSetLauncher.stop_seconds_until_kill") == 2);
    assert_true(options_float(o, "LocalEngineSetLauncher.stop_timeout") == 9);
    options_free(o);
}

static void test_former_names(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(set(o, "IPController", "ip", "\"10.0.0.1\"", &err), 0);
    assert_int_equal(set(o, "HubFactory", "ip", "\"10.0.0.2\"", &err), 0);
    assert_string_equal(options_text(o, "IPController.ip"), "10.0.0.1");
    assert_int_equal(options_warnings(o)->n, 1);
    assert_non_null(strstr(options_warnings(o)->items[0], "IPController.ip"));
    assert_int_equal(set(o, "IPControllerApp", "location", "\"here\"", &err), 0);
    assert_string_equal(options_text(o, "IPController.location"), "here");
    options_free(o);
}

static void test_json_values(void **state)
{
    struct options *o = fresh(PROG_CONTROLLER);
    struct ersa_error err;
    assert_int_equal(set(o, "IPController", "ports", "\"10101-10103\"", &err), 0);
    assert_int_equal(options_ports(o, "IPController.ports")->n, 3);
    assert_int_equal(set(o, "IPController", "ports", "[5, \"7-8\"]", &err), 0);
    assert_int_equal(options_ports(o, "IPController.ports")->n, 3);
    assert_int_equal(options_ports(o, "IPController.ports")->numbers[0], 5);
    assert_int_equal(
        set(o, "IPController", "db_class", "\"ipyparallel.controller.dictdb.NoDB\"", &err), 0);
    assert_string_equal(options_text(o, "IPController.db_class"), "NoDB");
    assert_int_equal(set(o, "TaskScheduler", "hwm", "\"many\"", &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "file:7: TaskScheduler.hwm"));
    assert_int_equal(set(o, "TaskScheduler", "hwm", "null", &err), ERSA_EINVAL);
    assert_int_equal(set(o, "TaskScheduler", "hwm", "[1]", &err), ERSA_EINVAL);
    assert_int_equal(set(o, "TaskScheduler", "hmw", "1", &err), ERSA_ENOENT);
    assert_non_null(strstr(err.text, "file:7"));
    assert_non_null(strstr(err.text, "did you mean hwm?"));
    assert_int_equal(set(o, "Weird", "thing", "{\"a\": [1]}", &err), 0);
    assert_int_equal(options_int(o, "TaskScheduler.hwm"), OPTION_AUTO);
    options_free(o);
}

static void expect_told(enum program program, char *word)
{
    struct options *o = fresh(program);
    struct ersa_error err;
    assert_int_equal(PARSE(o, &err, word), 0);
    assert_int_equal(options_warnings(o)->n, 1);
    assert_non_null(strstr(options_warnings(o)->items[0], "no effect"));
    options_free(o);
}

static void test_without_effect_is_told(void **state)
{
    expect_told(PROG_CONTROLLER, "--usethreads");
    expect_told(PROG_ENGINE, "--sshkey=/home/me/.ssh/id");
    expect_told(PROG_ENGINE, "--Session.signature_scheme=hmac-sha512"); /* the file says it */
    expect_told(PROG_CONTROLLER, "--Session.buffer_threshold=1M");
    expect_told(PROG_CLUSTER_STOP, "--LocalControllerLauncher.output_limit=5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_defaults),
        T(test_forms),
        T(test_left_to_right),
        T(test_flags_that_set_two),
        T(test_lists_grow),
        T(test_units),
        T(test_unknown_names_the_nearest),
        T(test_unknown_names_whose_it_is),
        T(test_auto),
        T(test_bad_values),
        T(test_secrets_stay_secret),
        T(test_environment),
        T(test_sections),
        T(test_former_names),
        T(test_json_values),
        T(test_without_effect_is_told),
    };
    (void)in_test_dir;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
