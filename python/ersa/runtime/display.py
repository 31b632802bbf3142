# SPDX-License-Identifier: BSD-3-Clause
"""Values and data as front ends get them: rich forms, display(), publishers."""
import sys

_REPRS = {
    "_repr_html_": "text/html", "_repr_markdown_": "text/markdown", "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg", "_repr_pdf_": "application/pdf",
    "_repr_latex_": "text/latex", "_repr_json_": "application/json", "_repr_javascript_": "application/javascript",
}


def bundle(value):
    """(data, metadata) for a value, with whatever forms it offers."""
    data, metadata = {}, {}

    def add(into, made):
        made, more = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        if made is not None:
            data.update(made) if into is None else data.__setitem__(into, made)
        if more:
            metadata.update(more) if into is None else metadata.__setitem__(into, more)

    if not isinstance(value, type):
        kind = type(value)
        try:
            if hasattr(kind, "_repr_mimebundle_"):
                add(None, value._repr_mimebundle_())
            for name, mime in _REPRS.items():
                if hasattr(kind, name):
                    add(mime, getattr(value, name)())
        except Exception as e:
            print(f"a rich form of {kind.__name__} failed: {e!r}", file=sys.stderr)
    for mime, made in data.items():
        if isinstance(made, (bytes, bytearray)):
            import base64
            data[mime] = base64.b64encode(made).decode("ascii")
    data.setdefault("text/plain", repr(value))
    return data, metadata


class DisplayPublisher:
    def __init__(self, rt):
        self._rt = rt

    def publish(self, data, metadata=None, *, transient=None, update=False, **ignored):
        self._rt.publish("update_display_data" if update else "display_data",
                         {"data": data, "metadata": metadata or {}, "transient": transient or {}}, "displaypub")

    def clear_output(self, wait=False):
        self._rt.publish("clear_output", {"wait": bool(wait)}, "displaypub")


class DataPublisher:
    def __init__(self, rt):
        self.publish_data = rt.publish_data


class Display:
    """display() of a namespace without IPython."""

    def __init__(self, rt):
        self._rt = rt

    def __call__(self, *objects, metadata=None, transient=None, display_id=None, raw=False, update=False, **ignored):
        transient = dict(transient or {})
        if display_id:
            transient["display_id"] = display_id if isinstance(display_id, str) else "%x" % id(objects)
        publish = self._rt.get_ipython().display_pub.publish
        for value in objects:
            if hasattr(type(value), "_ipython_display_"):
                value._ipython_display_()
                continue
            data, found = (value, {}) if raw else bundle(value)
            publish(data=data, metadata={**found, **(metadata or {})}, transient=transient, update=update)
