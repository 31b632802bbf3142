# SPDX-License-Identifier: BSD-3-Clause
"""execute, %px, output and its parent."""
import pytest

import ipyparallel as ipp
import functions as f
from processes import wait_until


@pytest.fixture
def shell(client):
    """An IPython shell in this process with the client's magics."""
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    view = client[:]
    view.block = True
    view.activate()
    yield shell
    shell.reset(new_session=False)


def test_execute_and_namespace(client):
    view = client[:]
    view.execute("x = 6 * 7", block=True)
    assert view.pull("x", block=True) == [42] * len(client)
    view.execute("del x", block=True)


def test_execute_error(client):
    with pytest.raises(ipp.RemoteError) as error:
        client[client.ids[0]].execute("1/0", block=True)
    assert error.value.ename == "ZeroDivisionError"
    assert error.value.engine_info["method"] == "execute"


def test_output_of_a_task(client):
    result = client[client.ids[0]].apply_async(f.talk, "hello")
    assert result.get(30) == 5
    result.wait_for_output(30)
    assert result.stdout == "hello\n" and result.stderr == "HELLO\n"


def test_output_of_many_tasks_stays_with_them(client):
    view = client.load_balanced_view()
    results = [view.apply_async(f.talk, f"task {i}") for i in range(30)]
    for i, result in enumerate(results):
        result.get(30)
        result.wait_for_output(30)
        assert result.stdout == f"task {i}\n" and result.stderr == f"TASK {i}\n"


@pytest.mark.ours("engines")
def test_output_of_a_child_process(client):
    @f.by_value
    def shout():
        import subprocess
        subprocess.run(["echo", "from a child"], check=True)

    result = client[client.ids[0]].apply_async(shout)
    result.get(30)
    wait_until(lambda: result.stdout == "from a child\n", lambda: f"output, got {result.stdout!r}", 10)


def test_result_of_an_expression(client):
    result = client[client.ids[0]].execute("40 + 2", silent=False)
    result.get(30)
    result.wait_for_output(30)
    assert result.execute_result["data"]["text/plain"] == "42"


def test_px_line_and_cell(shell, client, capsys):
    shell.run_line_magic("px", "a = 5")
    assert client[:].pull("a", block=True) == [5] * len(client)
    capsys.readouterr()
    shell.run_cell_magic("px", "", "print(f'cell {a}')")
    assert capsys.readouterr().out.count("cell 5") == len(client)
    shell.run_line_magic("px", "del a")


def test_px_shows_the_error(shell, client):
    with pytest.raises(ipp.RemoteError):
        shell.run_line_magic("px", "undefined_name")


def test_publish_data(client):
    @f.by_value
    def publish():
        from ipyparallel.datapub import publish_data
        publish_data({"step": 1})
        publish_data({"step": 2, "more": [1, 2]})

    result = client[client.ids[0]].apply_async(publish)
    result.get(30)
    wait_until(lambda: result.data.get("more"), "published data", 10)
    assert result.data == {"step": 2, "more": [1, 2]}
