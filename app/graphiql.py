"""The page at ``/graphiql``: an editor for GraphQL that loads nothing from elsewhere.

The files of others are fetched by ``app/web_files.py``; ours are in ``web/graphiql``.
"""

import html
import os
import secrets
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE: Final = Path(__file__).resolve().parent.parent / "web" / "graphiql"
CONTENT_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # The nonce is for one element: the menus of GraphiQL hold the page still while they are open.
        "style-src 'self' 'nonce-{nonce}'",
        "connect-src 'self'",  # includes WebSockets to the same host and port
        "img-src 'self' data:",
        "font-src 'self' data:",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # keep it, but ask: unchanged files cost a 304
}

MISSING: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>공구 Gonggu</title>
<link rel="icon" href="graphiql/static/icon.svg">
<link rel="stylesheet" href="graphiql/static/style.css">
<body class="plain">
<h1>GraphiQL is not installed yet</h1>
<p>Its files are fetched once, from npm. In the folder of Gonggu, run
<pre>./gonggu setup</pre>
<p>and load this page again; the server need not be restarted. Everything else works:
<pre>curl {url} -H 'content-type: application/json' -d '{{"query": "{{ __typename }}"}}'</pre>
<p lang="ko">GraphiQL 파일이 아직 없습니다. <code>./gonggu setup</code>을 실행한 뒤 이 페이지를 새로 고치세요.
</html>
"""


def graphiql_routes(files: Path, graphql_path: str = "/graphql") -> list[BaseRoute]:
    """Serve the page, its files and its examples.

    Args:
        files: Where ``app/web_files.py`` puts the files of others; they may come while the server runs.
        graphql_path: Where queries go, over HTTP and WebSocket.
    """
    page = (PAGE / "index.html").read_text("utf-8")
    examples = read_examples(PAGE / "examples")

    async def show_page(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = {
            **HEADERS,
            "Content-Security-Policy": CONTENT_POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",  # a nonce is for one answer
        }
        if not (files / "manifest.json").is_file():
            url = str(request.url.replace(path=graphql_path, query="", fragment=""))
            return HTMLResponse(MISSING.format(url=html.escape(url)), 503, headers)
        return HTMLResponse(page.replace("{{nonce}}", nonce), headers=headers)

    async def show_config(request: Request) -> Response:
        path: str = request.scope.get("root_path", "") + graphql_path
        return JSONResponse({"graphqlPath": path, "examples": examples}, headers=HEADERS)

    return [
        Route("/graphiql", show_page),
        Route("/graphiql/config.json", show_config),
        Mount("/graphiql/static", Static(PAGE / "static", files)),
    ]


def read_examples(directory: Path) -> list[dict[str, Any]]:
    """Operations in the order of their file names, each with the variables of the JSON file beside it."""
    return [
        {
            "query": path.read_text("utf-8").strip() + "\n",
            "variables": variables.read_text("utf-8").strip() if variables.exists() else "",
        }
        for path in sorted(directory.glob("*.graphql"))
        for variables in [path.with_suffix(".json")]
    ]


class Static(StaticFiles):
    """Our files and those of others under one address."""

    def __init__(self, ours: Path, others: Path) -> None:
        super().__init__(directory=ours)
        self.all_directories.append(others)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer as always, with our headers."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response
