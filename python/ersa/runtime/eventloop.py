# SPDX-License-Identifier: BSD-3-Clause
"""The loop of requests inside asyncio's: from the first cell with an await on, or the first coroutine that
was given to the runtime, and for good. Requests without await still run as before, one at a time."""
import asyncio
import sys

from ersa import _core
from ersa.runtime import descriptors


async def run_user(rt, coroutine):
    """Awaits user code with the gate open. Returns what it raised, or None. An interrupt raises
    KeyboardInterrupt where code runs, and cancels what waits."""
    task = asyncio.current_task()
    interrupted = []

    def on_interrupt():
        if interrupted or asyncio.current_task(rt.loop) is task:
            return False
        interrupted.append(True)
        rt.loop.call_soon_threadsafe(task.cancel)
        return True

    _core.set_interrupt_hook(on_interrupt)
    try:
        _core.open_gate()
        await coroutine
        error = None
    except BaseException as e:
        error = e
    finally:
        _core.shut_gate()
        _core.set_interrupt_hook(None)
        coroutine.close()
    if interrupted:
        if hasattr(task, "uncancel"):
            task.uncancel()
        if isinstance(error, asyncio.CancelledError):
            error = KeyboardInterrupt()
    return error


async def _readable(rt):
    ready = rt.loop.create_future()
    fd = rt.channel.fileno()
    rt.loop.add_reader(fd, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        rt.loop.remove_reader(fd)


async def _finish(rt, rest):
    """The part of a request that is a coroutine, then its reply."""
    msg_id, coroutine = rest
    try:
        reply = await coroutine
    except Exception as error:
        reply = rt.failure(error, "runtime")
    rt.reply(msg_id, reply)


async def _serve(rt, rest):
    while True:
        try:
            if rest:
                going_on, rest = rest, None
                await _finish(rt, going_on)
            while rt.spawned:
                rt.loop.create_task(rt.spawned.pop(0))
            parts = rt.next_request(False)
            if parts is None:
                return
            rest = rt.run(parts) if parts else None
        except (_core.ProtocolError, _core.ChannelLost):
            raise
        except Exception as error:
            rt.stray(error)
            continue
        if parts is False:
            await _readable(rt)
        else:
            await asyncio.sleep(0)  # other tasks of the loop have their turn


def _keep_descriptors(loop):
    """Whatever the loop of this version of Python is made of."""
    for name in ("_selector", "_ssock", "_csock"):
        part = getattr(loop, name, None)
        if part is not None:
            descriptors.kept.add(part.fileno())


def serve(rt, rest):
    rt.loop = asyncio.new_event_loop()
    _keep_descriptors(rt.loop)
    asyncio.set_event_loop(rt.loop)
    try:
        main = rt.loop.create_task(_serve(rt, rest))
        while not main.done():
            try:
                rt.loop.run_until_complete(main)
            except (KeyboardInterrupt, SystemExit, RuntimeError):
                # a task of user code beside the request raised it, or stopped the loop; that goes on
                if main.done() or rt.loop.is_closed():
                    raise
        main.result()
    finally:
        for task in asyncio.all_tasks(rt.loop):
            task.cancel()
        rt.loop.run_until_complete(asyncio.sleep(0))
        sys.stderr.flush()
