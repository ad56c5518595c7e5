"""What `make site` does beyond mkdocs: navigation from docs/README.md, links out of docs/ to the repository, no script from the network."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent

_HEADING = re.compile(r"^## (.+)$")
_PAGE = re.compile(r"^\s*(?:- |\| )\[([^\]]+)\]\(([^)#]+\.md)\)")
_LINK = re.compile(r"\]\((\.\./[^)\s]*)\)")


def contents(text: str) -> dict[str, list[tuple[str, str]]]:
    """Heading -> (title, path below docs/) of each page that docs/README.md lists below it."""
    sections: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    for line in text.splitlines():
        if found := _HEADING.match(line):
            heading = found[1]
        elif heading and (page := _PAGE.match(line)):
            sections.setdefault(heading, []).append((page[1], page[2]))
    return sections


def navigation(text: str) -> list[dict[str, Any]]:
    """The navigation: the sections of docs/README.md; a README.md in a folder brings the folder's other pages with it."""
    nav: list[dict[str, Any]] = [{"Start": "README.md"}]
    for heading, pages in contents(text).items():
        nav.append({heading: [_entry(title, path) for title, path in pages]})
    return nav


def _entry(title: str, path: str) -> dict[str, Any]:
    if not path.endswith("/README.md"):
        return {title: path}
    folder = (DOCS / path).parent
    others = sorted(page for page in folder.glob("*.md") if page.name != "README.md")
    return {title: [path, *(page.relative_to(DOCS).as_posix() for page in others)]}


def repository_url() -> str:
    """Where the repository is published, from pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"])


def outward(markdown: str, page: str) -> str:
    """The page's text with links that leave docs/ led to the repository. `page`: its path below docs/."""

    def link(found: re.Match[str]) -> str:
        path, _, anchor = found[1].partition("#")
        target = Path(os.path.normpath((DOCS / page).parent / path))
        if target.is_relative_to(DOCS):
            return found[0]
        return f"]({repository_url()}/blob/main/{target.relative_to(ROOT).as_posix()}{'#' + anchor if anchor else ''})"

    return _LINK.sub(link, markdown)


# What mkdocs calls.


def on_config(config: Any) -> Any:
    config.nav = navigation((DOCS / "README.md").read_text())
    config.repo_url = repository_url()
    config.repo_name = "rtmskit"
    config.edit_uri = ""
    config.extra_javascript = ["site/mermaid.js"]
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    return outward(markdown, page.file.src_uri)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The search of pages that no server serves needs a script, which the theme would fetch from the network."""
    return output.replace("https://unpkg.com/iframe-worker/shim", f"{'../' * page.url.count('/')}site/shim.js")


def on_post_build(config: Any) -> None:
    target = Path(config.site_dir) / "site"
    for name in ("mermaid.js", "shim.js"):
        (target / name).write_bytes((Path(sys.prefix) / name).read_bytes())
