"""The site: every page of what was read and measured, its JSON, its feeds, and the same as static files.

    application = sillok.web.application("record.sqlite")     # for any ASGI server
    sillok.web.export("site", "record.sqlite")                # for any web host

Three faces of one layer: `sillok.web.views` gives each page's data as typed objects (`sillok.web.models`), and
the pages, the API and the export show these. Nothing here runs a trial or fetches an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sillok.web.app import application
    from sillok.web.static import export

__all__ = ["application", "export"]


def __getattr__(name: str) -> Any:
    # FastAPI and Jinja2 belong to the extra "web": they are imported when a site is asked for.
    if name == "application":
        from sillok.web.app import application

        return application
    if name == "export":
        from sillok.web.static import export

        return export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
