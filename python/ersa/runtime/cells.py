# SPDX-License-Identifier: BSD-3-Clause
"""Source text to code objects: all but a trailing expression, and that one. What was compiled once is kept, and
the text is at hand for tracebacks and inspect."""
import _ast
import sys
import zlib

_FUTURES = 0x1FE0000  # CO_FUTURE_*: what `from __future__` in a cell leaves on for the next ones
_COROUTINE = 0x80     # CO_COROUTINE: there is a top-level await
_KEPT_MAX = 256
_SOURCES_MAX = 4096

_sources = {}  # file name -> text, for linecache
_kept = {}     # (text, flags) -> Cell


def is_coroutine(code):
    return bool(code.co_flags & _COROUTINE)


class Cell:
    """A compiled cell. `body` and `last` are code objects or None."""

    __slots__ = ("body", "last", "is_quiet", "futures")

    def __init__(self, text, name, flags):
        tree = compile(text, name, "exec", flags | _ast.PyCF_ONLY_AST | _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
        last = None
        if tree.body and isinstance(tree.body[-1], _ast.Expr):
            last = _ast.Expression(tree.body.pop().value)
        flags |= _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.body = compile(tree, name, "exec", flags, True) if tree.body else None
        self.futures = (self.body.co_flags & _FUTURES) if self.body else 0
        self.last = compile(last, name, "eval", flags | self.futures, True) if last is not None else None
        self.is_quiet = text.rstrip().endswith(";")

    @property
    def is_async(self):
        return any(c is not None and is_coroutine(c) for c in (self.body, self.last))


def compile_cell(text, flags=0):
    """The Cell for a text; SyntaxError and what else compile() raises."""
    cell = _kept.get((text, flags))
    if cell is None:
        name = f"<cell-{zlib.crc32(text.encode(errors='surrogatepass')):08x}>"  # the same on all engines
        _note_source(name, text)
        cell = Cell(text, name, flags)
        if len(_kept) >= _KEPT_MAX:
            _kept.clear()
        _kept[text, flags] = cell
    return cell


def _note_source(name, text):
    _sources[name] = text
    if len(_sources) > _SOURCES_MAX:
        oldest = next(iter(_sources))
        del _sources[oldest]
        if "linecache" in sys.modules:
            sys.modules["linecache"].cache.pop(oldest, None)
    if "linecache" in sys.modules:
        _put(sys.modules["linecache"], name, text)


def _put(linecache, name, text):
    linecache.cache[name] = len(text), None, [line + "\n" for line in text.splitlines()], name


def patch_linecache(module):
    """linecache has been imported: it learns the cells, and keeps them when it forgets files that are gone."""
    for name, text in _sources.items():
        _put(module, name, text)


def is_input(text):
    """Does it need IPython, if at all? Lines that begin with its special characters do, and what was copied from a
    prompt or out of an indented block."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and (lines[0][0] in " \t" or lines[0].startswith(">>> ")):
        return True
    for line in map(str.strip, lines):
        if line[0] in "%!?,;/" or line[-1] == "?" or "= %" in line or "=%" in line or "= !" in line or "=!" in line:
            return True
    return False
