"""What an object looks like, by the methods that Jupyter knows; for shells without IPython."""

import uuid

_METHODS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("application/pdf", "_repr_pdf_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)


def text_of(value):
    """Its text, whatever its own methods do."""
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:
        return "<{} whose text fails with {}>".format(type(value).__name__, type(error).__name__)


def bundle(value):
    """Data by mime type, and metadata. A method that fails leaves its type out; the text is always there."""
    data, metadata = {}, {}
    if not isinstance(value, type):
        for kind, name in _METHODS:
            _add(data, metadata, kind, _call(value, name))
        many = _call(value, "_repr_mimebundle_", include=None, exclude=None)
        parts = many if isinstance(many, tuple) else (many, None)
        for into, part in zip((data, metadata), parts):
            if isinstance(part, dict):
                into.update(part)
    data.setdefault("text/plain", repr(value))
    return data, metadata


def _call(value, name, **arguments):
    method = getattr(value, name, None)
    if not callable(method):
        return None
    try:
        return method(**arguments)
    except Exception:
        return None


def _add(data, metadata, kind, shown):
    if isinstance(shown, tuple) and len(shown) == 2:
        shown, metadata[kind] = shown
    if shown is not None:
        data[kind] = shown


class Display:
    """The built-in `display` of a session without IPython."""

    def __init__(self, frames):
        self.frames = frames

    def __call__(self, *values, display_id=None, raw=False, update=False, metadata=None, **ignored):
        if display_id is True:
            display_id = uuid.uuid4().hex
        for value in values:
            data, more = (value, {}) if raw else bundle(value)
            more.update(metadata or {})
            output = {"output_type": "update_display_data" if update else "display_data", "data": data, "metadata": more}
            if display_id is not None:
                output["transient"] = {"display_id": display_id}
            self.frames.output(output)
        return Handle(self, display_id) if display_id is not None else None


class Handle:
    """Of a display that can be changed."""

    def __init__(self, show, display_id):
        self.show, self.display_id = show, display_id

    def display(self, value, **arguments):
        self.show(value, display_id=self.display_id, **arguments)

    def update(self, value, **arguments):
        self.show(value, display_id=self.display_id, update=True, **arguments)
