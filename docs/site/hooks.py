"""What MkDocs calls while it builds the site: generated pages, quotes, pictures, links to the reference, formulas."""

from __future__ import annotations

import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import measured, notebooks, pictures, quotes, reference

REMOTE = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*\bhref=[\"']?(?:https?:)?//"
)
"""What would be fetched from elsewhere by a reader's browser."""
CODE = re.compile(r"(?<!\">)<code>((?:\w+\.)+\w+)(\(\))?</code>")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)

places: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Fills the parts of the navigation that follow the code."""
    pages = {"Reference": ["reference/index.md"], "Notebooks": ["notebooks/index.md"]}
    pages["Reference"] += [{p.title: f"reference/{p.file}"} for p in reference.PAGES]
    pages["Notebooks"] += [f"notebooks/{path.stem}.md" for path in notebooks.listed()]
    for entry in config.nav:
        for title in entry:
            entry[title] = pages.get(title, entry[title])
    places.update(reference.index())
    return config


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages and pictures that are written now."""
    from mkdocs.structure.files import File

    for name, content in generated().items():
        files.append(File.generated(config, name, content=content))
    return files


def generated() -> dict[str, str | bytes]:
    """All generated files by their place in the site."""
    made: dict[str, str | bytes] = {f"reference/{p.file}": reference.write(p) for p in reference.PAGES}
    made["reference/index.md"] = contents_of_reference()
    made["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    made["performance.md"] = measured.page()
    made |= pictures.drawn()
    made["notebooks/index.md"] = notebooks.contents()
    for path in notebooks.listed():
        made[f"notebooks/{path.stem}.md"], shown = notebooks.page(path)
        made |= {f"notebooks/{name}": picture for name, picture in shown.items()}
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.png")):
        made[f"results/{path.name}"] = path.read_bytes()
    return made


def contents_of_reference() -> str:
    """The first page of the reference."""
    rows = [f"| [`{p.title}`]({p.file}) | {len(reference.members(p))} | {first_line(p)} |" for p in reference.PAGES]
    return "\n".join(
        [
            "# Reference", "",
            "Every public name, with its call, what it does, and an example. The pages are made from the docstrings of "
            "the library as it is imported, and all examples run with the tests.", "",
            "| module | names | |", "|---|---:|---|", *rows, "",
        ]
    )  # fmt: skip


def first_line(page: reference.Page) -> str:
    text = reference.introduction(page).replace("<br>", " ").split("\n\n")[0]
    return " ".join(text.split())


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fills in quotes and pictures; the reference gets a style of its own."""
    from mkdocs.exceptions import PluginError

    markdown = re.sub(r"<!--.*?-->\n*", "", markdown, flags=re.DOTALL)
    try:
        markdown = pictures.expand(measured.expand(quotes.expand(markdown)), page.file.src_uri)
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    markdown = re.sub(r"  # doctest: \+\w+$", "", markdown, flags=re.MULTILINE)
    markdown = re.sub(
        r"\n\n```$", "\n```", markdown, flags=re.MULTILINE
    )  # doctest needs the empty line, readers do not
    if page.file.src_uri.startswith("reference/"):
        return f'<div class="reference" markdown>\n\n{markdown}\n\n</div>\n'
    return markdown


def on_page_content(html: str, page: Any, files: Any, **_: Any) -> str:
    """Links names to the reference, and turns formulas into MathML, which browsers show by themselves."""
    from mkdocs.utils import get_relative_url

    def linked(found: re.Match[str]) -> str:
        place = places.get(found[1]) or places.get(f"rg.{found[1].removeprefix('retrograd.')}")
        if place is None:
            return found[0]
        name, _, anchor = place.partition("#")
        url = get_relative_url(files.get_file_from_path(name).url, page.url)
        return f'<a href="{url}#{anchor}">{found[0]}</a>'

    return FORMULA.sub(formula, CODE.sub(linked, html))


def formula(found: re.Match[str]) -> str:
    from latex2mathml.converter import convert

    return convert(unescape(found[3]), display="block" if found[2] == "[" else "inline")


def on_post_build(config: Any) -> None:
    """Fails where a page would fetch something from elsewhere: the site is to work without a network."""
    from mkdocs.exceptions import PluginError

    for path in sorted(Path(config.site_dir).rglob("*.html")):
        if found := REMOTE.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.name} fetches from elsewhere: {found[0]}")
