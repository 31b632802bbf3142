/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to what the controller's parts get; --reuse with good, foreign and broken files.
 */
#include "cli/controller_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/test_dir.h"

static void make_cli(struct cli *c, char *const *words)
{
    struct ersa_error err = {0};
    char *argv[16] = {"ipcontroller"};
    int n = 1;
    for (; words[n - 1]; n++)
        argv[n] = words[n - 1];
    *c = (struct cli){.program = program_find(PROG_CONTROLLER), .cluster_id = ""};
    assert_int_equal(options_new(&c->options, PROG_CONTROLLER, &err), 0);
    if (options_parse_argv(c->options, n, argv, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(profile_open(&c->profile, c->options, &err), 0);
}

static void free_cli(struct cli *c)
{
    profile_close(&c->profile);
    options_free(c->options);
}

static int setup(struct controller_setup *s, struct cli *c, struct ersa_error *err,
                 char *const *words)
{
    *err = (struct ersa_error){0};
    make_cli(c, words);
    return controller_setup(s, c, err);
}
#define SETUP(s, c, err, ...) \
    setup((s), (c), (err), (char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void end(struct controller_setup *s, struct cli *c)
{
    controller_setup_end(s);
    free_cli(c);
}

static void test_defaults(void **state)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    assert_int_equal(SETUP(&s, &c, &err), 0);
    assert_string_equal(s.router.engine_interface, "tcp://127.0.0.1");
    assert_string_equal(s.router.client_interface, "tcp://127.0.0.1");
    assert_string_equal(
        s.client_path,
        in_test_dir(".ipython/profile_default/security/ipcontroller-client.json"));
    assert_int_equal(strlen(s.engine.key), 33);
    assert_string_equal(s.engine.key, s.client.key);
    assert_int_equal(s.router.engine_ports.n, 0);
    assert_int_equal(s.router.heart_period_ms, 3000);
    assert_int_equal(s.router.registration_timeout_ms, 0);
    assert_true(s.router.sched.client_limit > 1 << 20);
    assert_true(s.router.sched.hwm == HWM_AUTO);
    assert_int_not_equal(strlen(s.engine.location), 0);
    end(&s, &c);
}

static void test_options(void **state)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    put_file(in_test_dir("key"), "from-file \n");
    char keyfile[200];
    snprintf(keyfile, sizeof(keyfile), "--keyfile=%s", in_test_dir("key"));
    assert_int_equal(SETUP(&s, &c, &err, "--ip=*", "--IPController.client_ip=127.0.0.2",
                           "--engine-ports=7,8", "--port=9", "--ports=10", keyfile,
                           "--Ersa.disable=attach", "--IPController.registration_timeout=2",
                           "--TaskScheduler.client_limit=0", "--location=there",
                           "--IPController.client_json_file=my.json"),
                     0);
    assert_string_equal(s.router.engine_interface, "tcp://*");
    assert_string_equal(s.router.client_interface, "tcp://127.0.0.2");
    assert_int_equal(s.router.engine_ports.n, 3);
    assert_int_equal(s.router.engine_ports.numbers[2], 9);
    assert_int_equal(s.router.ports.numbers[0], 10);
    assert_string_equal(s.client.key, "from-file");
    assert_int_equal(s.router.caps & 1, 0);
    assert_int_equal(s.router.registration_timeout_ms, 2000);
    assert_int_equal(s.router.sched.client_limit, 0);
    assert_string_equal(s.engine.location, "there");
    assert_string_equal(strrchr(s.client_path, '/'), "/my.json");
    end(&s, &c);
    assert_int_equal(SETUP(&s, &c, &err, "--no-secure"), 0);
    assert_string_equal(s.engine.key, "");
    end(&s, &c);
    assert_int_equal(SETUP(&s, &c, &err, "--keyfile=/nowhere/key"), ERSA_ENOENT);
    end(&s, &c);
}

static void test_ipc_is_private(void **state)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    setenv("XDG_RUNTIME_DIR", test_dir, 1);
    assert_int_equal(SETUP(&s, &c, &err, "--transport=ipc"), 0);
    unsetenv("XDG_RUNTIME_DIR");
    char dir[200], want[220];
    snprintf(dir, sizeof(dir), "%s", s.ipc_dir);
    snprintf(want, sizeof(want), "ipc://%s/c", dir);
    assert_string_equal(s.router.engine_interface, want);
    assert_string_equal(s.router.client_interface, want);
    struct stat st;
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    end(&s, &c);
    assert_int_not_equal(stat(dir, &st), 0);
}

#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs" /* of a pair in libzmq's manual */
#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static void test_curve_is_for_others(void **state)
{
    static char *const rows[][3] = {
        {"--ip=127.0.0.1", "--ip=127.0.0.1", ""},
        {"--ip=*", "--ip=*", "on"},
        {"--ip=*", "--IPController.enable_curve=false", ""},
        {"--IPController.client_ip=0.0.0.0", "--ip=127.0.0.1", "on"},
        {"--transport=ipc", "--ip=*", ""},
        {"--ip=127.0.0.2", "--IPController.enable_curve=1", "on"},
    };
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(SETUP(&s, &c, &err, rows[i][0], rows[i][1]), 0);
        bool is_on = *rows[i][2];
        assert_int_equal(s.router.curve != NULL, is_on);
        assert_int_equal(s.client.curve_serverkey != NULL, is_on);
        assert_int_equal(strlen(s.client.key), is_on ? 0 : 33);
        end(&s, &c);
    }
    assert_int_equal(SETUP(&s, &c, &err, "--ip=*", "--Session.key=mine"), 0);
    assert_string_equal(s.engine.key, "mine");
    assert_true(s.router.curve->is_server);
    end(&s, &c);
}

static void test_configured_pairs(void **state)
{
    static char *const bad[][2] = {
        {"--IPController.curve_secretkey=short", "--ip=*"},
        {"--IPController.curve_publickey=" PUBLIC, "--ip=*"},
        {"--IPController.curve_secretkey=" SECRET,
         "--IPController.curve_publickey=JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"},
        {"--IPController.curve_secretkey=" SECRET, "--IPController.curve_publickey=no"},
    };
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_cli(&c, (char *[]){bad[i][0], bad[i][1], "--IPController.enable_curve=1", NULL});
        assert_int_equal(controller_setup(&s, &c, &err), ERSA_EINVAL);
        assert_non_null(strstr(err.text, "curve_"));
        assert_null(strstr(err.text, SECRET));
        assert_null(strstr(err.text, "short"));
        end(&s, &c);
    }
    assert_int_equal(SETUP(&s, &c, &err, "--IPController.enable_curve=1",
                           "--IPController.curve_secretkey=" SECRET,
                           "--IPController.curve_publickey=" PUBLIC),
                     0);
    assert_string_equal(s.client.curve_serverkey, PUBLIC);
    assert_string_equal(s.engine.curve_serverkey, PUBLIC);
    assert_false(s.keeps_pair);
    end(&s, &c);
}

static void test_stores(void **state)
{
    static char *const rows[][2] = {
        {"--nodb", "none"}, {"--dictdb", "memory"}, {"--sqlitedb", "sqlite"}};
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    struct store *store;
    struct session *session;
    struct stat sb;
    char path[4200];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SETUP(&s, &c, &err, rows[i][0], "--SQLiteDB.table="), 0);
        assert_int_equal(controller_session(&session, &s, &c, &err), 0);
        assert_int_equal(controller_store(&store, &c, session, &err), 0);
        assert_string_equal(store->ops->name, rows[i][1]);
        store->ops->close(store);
        session_free(session);
        snprintf(path, sizeof(path), "%s/tasks.db", c.profile.dir);
        end(&s, &c);
    }
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(unlink(path), 0);
}

static void test_where_mongodb_is(void **state)
{
    static char *const rows[][3] = {
        {"--nodb", "--dictdb", "mongodb://localhost"},
        {"--MongoDB.connection_args=h", "--MongoDB.connection_args=27", "mongodb://h:27"},
        {"--MongoDB.connection_kwargs=host=h", "--MongoDB.connection_kwargs=port=27",
         "mongodb://h:27"},
        {"--MongoDB.connection_kwargs=username=a@b", "--MongoDB.connection_kwargs=password=c:d",
         "mongodb://a%40b:c%3Ad@localhost"},
        {"--MongoDB.connection_args=mongodb://h/?w=1",
         "--MongoDB.connection_kwargs=appname=x y", "mongodb://h/?w=1&appname=x%20y"},
        {"--MongoDB.connection_args=mongodb://h", "--MongoDB.connection_kwargs=tls=true",
         "mongodb://h/?tls=true"},
    };
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *uri = NULL;
        assert_int_equal(SETUP(&s, &c, &err, rows[i][0], rows[i][1]), 0);
        assert_int_equal(controller_mongo_uri(&uri, c.options, &err), 0);
        assert_string_equal(uri, rows[i][2]);
        free(uri);
        end(&s, &c);
    }
}

static void test_one_at_a_time(void **state)
{
    struct controller_setup a, b;
    struct cli c, d;
    struct ersa_error err;
    char pid[32];
    assert_int_equal(SETUP(&a, &c, &err), 0);
    assert_int_equal(controller_claim(&a, &c, &err), 0);
    assert_int_equal(SETUP(&b, &d, &err), 0);
    assert_int_equal(controller_claim(&b, &d, &err), ERSA_EEXIST);
    snprintf(pid, sizeof(pid), "process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    end(&b, &d);
    end(&a, &c);
    assert_int_equal(SETUP(&b, &d, &err), 0);
    assert_int_equal(controller_claim(&b, &d, &err), 0);
    end(&b, &d);
}

/* Files as an earlier run left them. */
static void write_pair(int registration, const char *key, size_t leaves)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    assert_int_equal(SETUP(&s, &c, &err), 0);
    int *ports[] = {&s.engine.registration, &s.engine.control, &s.engine.mux,    &s.engine.task,
                    &s.engine.iopub,        &s.engine.hb_ping, &s.engine.hb_pong};
    for (size_t i = 0; i < 7; i++)
        *ports[i] = 2001 + (int)i;
    s.engine.broadcast_leaves = calloc(leaves, sizeof(int));
    s.engine.n_broadcast_leaves = leaves;
    for (size_t i = 0; i < leaves; i++)
        s.engine.broadcast_leaves[i] = 2100 + (int)i;
    s.engine.attach = 2200;
    int *client[] = {&s.client.control, &s.client.mux,          &s.client.task,
                     &s.client.iopub,   &s.client.notification, &s.client.broadcast};
    for (size_t i = 0; i < 6; i++)
        *client[i] = 2301 + (int)i;
    s.client.registration = registration;
    connection_info_set(&s.engine.key, "old-key");
    connection_info_set(&s.client.key, key);
    connection_info_set(&s.engine.interface, "tcp://127.0.0.3");
    connection_info_set(&s.client.interface, "tcp://127.0.0.3");
    connection_info_set(&s.engine.location, "old-place");
    assert_int_equal(connection_file_write(s.engine_path, &s.engine, &err), 0);
    assert_int_equal(connection_file_write(s.client_path, &s.client, &err), 0);
    end(&s, &c);
}

static void test_reuse(void **state)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    assert_int_equal(SETUP(&s, &c, &err, "--reuse"), 0); /* the first run */
    assert_int_equal(s.router.engine_ports.n, 0);
    end(&s, &c);
    write_pair(2001, "old-key", 2);
    assert_int_equal(SETUP(&s, &c, &err, "--reuse", "--ip=127.0.0.9", "--engine-ports=5"), 0);
    static const int engine[] = {2001, 2002, 2003, 2004, 2005, 2006, 2007, 2100, 2101, 2200};
    static const int client[] = {2301, 2302, 2303, 2304, 2305, 2306};
    assert_int_equal(s.router.engine_ports.n, 10);
    assert_memory_equal(s.router.engine_ports.numbers, engine, sizeof(engine));
    assert_int_equal(s.router.client_ports.n, 6);
    assert_memory_equal(s.router.client_ports.numbers, client, sizeof(client));
    assert_string_equal(s.engine.key, "old-key");
    assert_string_equal(s.router.engine_interface, "tcp://127.0.0.3");
    assert_string_equal(s.engine.location, "old-place");
    end(&s, &c);
}

/* As an earlier run with CURVE left it: the server's key, owned by the test. */
static char *write_curve_pair(void)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    write_pair(2001, "old-key", 2);
    assert_int_equal(SETUP(&s, &c, &err, "--reuse"), 0);
    s.uses_curve = s.keeps_pair = true;
    curve_keys_make(&s.curve.own);
    char *text = calloc(1, CURVE_TEXT_LEN + 1);
    curve_key_text(text, s.curve.own.public_key);
    connection_info_set(&s.engine.curve_serverkey, text);
    connection_info_set(&s.client.curve_serverkey, text);
    assert_int_equal(controller_curve_publish(&s, &err), 0);
    assert_int_equal(connection_file_write(s.engine_path, &s.engine, &err), 0);
    assert_int_equal(connection_file_write(s.client_path, &s.client, &err), 0);
    struct stat sb;
    assert_int_equal(stat(s.curve_path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    end(&s, &c);
    return text;
}

static void refuses(const char *why);

static void test_reuse_of_a_pair(void **state)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    const char *path = in_test_dir(".ipython/profile_default/security/ipcontroller-curve.key");
    char *text = write_curve_pair();
    assert_int_equal(SETUP(&s, &c, &err, "--reuse"), 0);
    assert_non_null(s.router.curve);
    assert_string_equal(s.client.curve_serverkey, text);
    assert_string_equal(s.client.key, "old-key");
    end(&s, &c);
    make_cli(&c, (char *[]){"--reuse", "--IPController.enable_curve=0", NULL});
    assert_int_equal(controller_setup(&s, &c, &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "is off"));
    end(&s, &c);
    make_cli(&c, (char *[]){"--reuse", "--IPController.curve_secretkey=" SECRET, NULL});
    assert_int_equal(controller_setup(&s, &c, &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "another CURVE key"));
    end(&s, &c);
    put_file(path, "curve\n    public-key = \"" PUBLIC "\"\n    secret-key = \"" SECRET "\"\n");
    refuses("another CURVE key");
    put_file(path, "garbage");
    refuses("no key pair");
    put_file(path, "public-key = \"" PUBLIC "\"\nsecret-key = \"D:)Q");
    refuses("no key pair");
    assert_int_equal(unlink(path), 0);
    refuses("key pair of the connection files");
    write_pair(2001, "old-key", 2);
    make_cli(&c, (char *[]){"--reuse", "--IPController.enable_curve=1", NULL});
    assert_int_equal(controller_setup(&s, &c, &err), ERSA_EINVAL);
    assert_non_null(strstr(err.text, "without CURVE"));
    end(&s, &c);
    free(text);
}

static void refuses(const char *why)
{
    struct controller_setup s;
    struct cli c;
    struct ersa_error err;
    int rc = SETUP(&s, &c, &err, "--reuse");
    if (rc == 0 || !strstr(err.text, why))
        fail_msg("wanted '%s': rc %d, '%s'", why, rc, err.text);
    end(&s, &c);
}

static void test_reuse_of_bad_files(void **state)
{
    const char *engine =
        in_test_dir(".ipython/profile_default/security/ipcontroller-engine.json");
    const char *client =
        in_test_dir(".ipython/profile_default/security/ipcontroller-client.json");
    write_pair(2001, "other-key", 2);
    refuses("'key' differs");
    write_pair(2002, "old-key", 2);
    refuses("'registration' differs");
    write_pair(2001, "old-key", 4);
    refuses("4 broadcast schedulers");
    write_pair(2001, "old-key", 2);
    assert_int_equal(unlink(client), 0);
    refuses("ipcontroller-client.json");
    write_pair(2001, "old-key", 2);
    assert_int_equal(unlink(engine), 0);
    refuses("ipcontroller-engine.json");
    write_pair(2001, "old-key", 2);
    put_file(engine, "{\"interface\": 3}");
    refuses("ipcontroller-engine.json: '");
    put_file(engine, "garbage");
    refuses("ipcontroller-engine.json");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, test_dir_make, test_dir_remove)
    const struct CMUnitTest tests[] = {
        T(test_defaults),
        T(test_options),
        T(test_ipc_is_private),
        T(test_curve_is_for_others),
        T(test_configured_pairs),
        T(test_reuse_of_a_pair),
        T(test_stores),
        T(test_where_mongodb_is),
        T(test_one_at_a_time),
        T(test_reuse),
        T(test_reuse_of_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
