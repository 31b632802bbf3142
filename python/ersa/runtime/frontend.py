# SPDX-License-Identifier: BSD-3-Clause
"""What front ends ask: completion, inspection, is this complete, history, who are you."""
import sys

from ersa._core import call
from ersa.runtime import jsons


def _ok(**content):
    return b"ok", b"", jsons.dumps({"status": "ok", **content}), ()


def _content(parts):
    content = jsons.loads(parts[4])
    parts.clear()
    return content


def kernel_info_request(rt, parts):
    version = sys.version.split()[0]
    return _ok(
        protocol_version="5.3", implementation="ipython", implementation_version=version,
        language_info={"name": "python", "version": version, "mimetype": "text/x-python",
                       "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
                       "pygments_lexer": "ipython3", "nbconvert_exporter": "python", "file_extension": ".py"},
        banner=f"Python {sys.version}\nErsa engine {rt.id}",
        help_links=[{"text": "Python Reference", "url": "https://docs.python.org/3"}])


def _word_before(code, at, letters="._"):
    start = at
    while start > 0 and (code[start - 1].isalnum() or code[start - 1] in letters):
        start -= 1
    return start


def _complete(rt, code, at):
    if rt.ipython is not None:
        from IPython.core.completer import provisionalcompleter, rectify_completions
        with provisionalcompleter():
            found = list(rectify_completions(code, rt.ipython.Completer.completions(code, at)))
        return [c.text for c in found], found[0].start if found else at
    from rlcompleter import Completer
    start = _word_before(code, at)
    completer = Completer(rt.ns)
    matches = []
    while len(matches) < 1000:
        found = completer.complete(code[start:at], len(matches))
        if found is None:
            break
        matches.append(found)
    return sorted({m.rstrip("( ").rstrip(")").rstrip("(") for m in matches}), start


def complete_request(rt, parts):
    content = _content(parts)
    code = content.get("code", "")
    at = min(content.get("cursor_pos", len(code)), len(code))
    try:
        matches, start = call(_complete, rt, code, at)
    except BaseException:
        matches, start = [], at
    types = [{"start": start, "end": at, "text": m, "type": "", "signature": ""} for m in matches]
    return _ok(matches=matches, cursor_start=start, cursor_end=at, metadata={"_jupyter_types_experimental": types})


def _inspect(rt, code, at, detail):
    end = at
    while end < len(code) and (code[end].isalnum() or code[end] == "_"):
        end += 1
    name = code[_word_before(code, at):end].strip(".")
    if not name:
        return None
    if rt.ipython is not None:
        try:
            return rt.ipython.object_inspect_mime(name, detail_level=detail)
        except KeyError:
            return None
    try:
        value = eval(name, rt.ns)
    except Exception:
        return None
    import inspect
    lines = [f"Type: {type(value).__name__}", f"String form: {value!s:.2000}"]
    if callable(value):
        try:
            lines.insert(0, f"Signature: {name}{inspect.signature(value)}")
        except (ValueError, TypeError):
            pass
    lines.append("Docstring:\n" + (inspect.getdoc(value) or "<no docstring>"))
    if detail:
        try:
            lines.append("Source:\n" + inspect.getsource(value))
        except (OSError, TypeError):
            pass
    return {"text/plain": "\n".join(lines)}


def inspect_request(rt, parts):
    content = _content(parts)
    code = content.get("code", "")
    at = min(content.get("cursor_pos", len(code)), len(code))
    try:
        data = call(_inspect, rt, code, at, content.get("detail_level", 0))
    except BaseException:
        data = None
    return _ok(found=data is not None, data=data or {}, metadata={})


def _completeness(rt, code):
    if rt.ipython is not None:
        return rt.ipython.check_complete(code)
    import warnings
    from codeop import compile_command
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = compile_command(code.rstrip() + "\n", symbol="exec") is not None
    except (SyntaxError, ValueError, OverflowError):
        return "invalid", ""
    last = code.rstrip("\n").rpartition("\n")[2]
    indent = len(last) - len(last.lstrip()) + (4 if last.rstrip().endswith(":") else 0)
    if done and (indent == 0 or code.endswith("\n\n") or "\n" not in code):
        return "complete", ""
    return "incomplete", " " * indent


def is_complete_request(rt, parts):
    content = _content(parts)
    try:
        status, indent = call(_completeness, rt, content.get("code", ""))
    except BaseException:
        status, indent = "unknown", ""
    reply = {"status": status, **({"indent": indent or ""} if status == "incomplete" else {})}
    return b"ok", b"", jsons.dumps(reply), ()


def _history(rt):
    if rt.ipython is None:
        return rt.shell.history
    inputs = rt.ipython.history_manager.input_hist_raw
    return rt.shell.history + [(n, text, None) for n, text in enumerate(inputs) if n >= rt.ipython.ersa_first]


def history_request(rt, parts):
    content = _content(parts)
    items = _history(rt)
    kind = content.get("hist_access_type", "tail")
    if kind == "range":
        start, stop = content.get("start") or 0, content.get("stop")
        items = [i for i in items if i[0] >= start and (stop is None or i[0] < stop)]
    elif kind == "search":
        from fnmatch import fnmatchcase
        items = [i for i in items if fnmatchcase(i[1], content.get("pattern") or "*")]
        if content.get("unique"):
            items = list({i[1]: i for i in items}.values())
    if content.get("n") and kind != "range":
        items = items[-content["n"]:]
    output = content.get("output")
    return _ok(history=[[0, n, [text, out] if output else text] for n, text, out in items])
