"""Reads untrusted notebook files: limits their size and refuses invalid files with an error that names them."""

import json
import re
from pathlib import Path
from typing import Any

from mugkit.errors import UserError

LARGEST = 20 * 1024**2  # bytes of a file
MOST_CELLS = 2000
MOST_PARTS = 500_000  # objects and lists in a file; each takes hundreds of bytes in memory and three on disk
_KERNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CLEAR = "clear the outputs and save it again"
_RESAVE = "open it in JupyterLab and save it again"


def parse(path: Path, largest: int = LARGEST) -> Any:
    """A file's JSON, in any encoding that an editor may have used.

    Raises:
        UserError: if there is no file, it cannot be read, has more than `largest` bytes, or is not JSON.
    """
    if not path.is_file():
        raise UserError("is not a file", file=path.name, fix="put the notebook itself there")
    if path.stat().st_size > largest:
        raise UserError(f"larger than {largest // 1024**2} MB", file=path.name, fix=_CLEAR)
    try:
        content = path.read_bytes()
        if content.count(b"{") + content.count(b"[") > MOST_PARTS:
            raise UserError(f"holds more than {MOST_PARTS:,} objects and lists", file=path.name, fix=_CLEAR)
        try:
            text = content.decode(json.detect_encoding(content))
        except UnicodeDecodeError:
            text = content.decode("cp1252", errors="replace")
        return json.loads(text.removeprefix("\ufeff"))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path.name, fix="check who may read it") from error
    except (ValueError, RecursionError) as error:
        kind = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise UserError(f"is not JSON ({kind})", file=path.name, fix=_RESAVE) from error


def read(path: Path) -> Any:
    """A valid notebook in nbformat's version 4 whose kernel is a name.

    Raises:
        UserError: as `parse`; also if it is not a valid notebook, has too many cells, or names its kernel by a path.
    """
    import nbformat

    found = parse(path)
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise UserError("is not a notebook: it has no list of cells", file=path.name, fix=_RESAVE)
    if len(cells) > MOST_CELLS:
        raise UserError(f"has {len(cells):,} cells", file=path.name, fix=f"keep to {MOST_CELLS:,} of them")
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
        json.dumps(notebook, ensure_ascii=False).encode()  # JSON can hold a lone surrogate, UTF-8 cannot
    except Exception as error:  # nbformat can raise any exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"is not a valid notebook ({reason})", file=path.name, fix=_RESAVE) from error
    kernel = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    if not _KERNEL.fullmatch(kernel):
        raise UserError(f"'{kernel[:80]}' is not the name of a kernel", file=path.name, field="kernelspec", fix=_RESAVE)
    return notebook
