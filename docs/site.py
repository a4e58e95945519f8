"""What mkdocs.yml needs besides: pages of the checkout that are not in docs/ are pages of the site, too."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_PAGES = ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    root = Path(config["docs_dir"]).parent
    for name in _PAGES:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    return files


def on_page_markdown(text: str, page: Any, **more: Any) -> str:
    """Links that lead out of docs/ to them, or from them into docs/; what else is outside stays a name."""
    if page.file.src_uri in _PAGES:
        return re.sub(r"\]\(docs/", "](", text)
    text = re.sub(rf"\]\(\.\./((?:\.\./)*(?:{'|'.join(_PAGES)}))", r"](\1", text)
    return re.sub(r"\[([^\]]*)\]\((?:\.\./)+(?:tests|rotate_my_key)/[^)]*\)", r"\1", text)
