"""Python code in pages, between its fences. As a program it prints the code of a page."""

import re
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def python_blocks(page: Path) -> list[str]:
    """Blocks of code in the order of the page."""
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.stdout.writelines(python_blocks(Path(sys.argv[1])))
