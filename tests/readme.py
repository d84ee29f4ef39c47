"""The README's table of architectures, made from the registry.

python -m tests.readme           prints it
python -m tests.readme --write   puts it into README.md
"""

import re
import sys
from pathlib import Path

import keraszoo
from keraszoo import registry

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- table: python -m tests.readme --write -->\n", "<!-- end of table -->"


def table():
    """The table in Markdown: a line for each registered name, families together."""
    lines = ["| name | trainable parameters | input | task | paper |", "| --- | ---: | --- | --- | --- |"]
    for entry in registry.shelf().values():
        card = keraszoo.describe(entry.name)
        inputs = re.findall(r"\(batch(?:, )?(.*?)\)", card.input)
        shape = " and ".join(sizes.replace(", ", "×") or "label" for sizes in inputs)
        lines.append(
            f"| `{card.name}` | {card.parameters:,} | {shape} | {card.task.replace('_', ' ')} "
            f"| [{short(card.paper)}]({card.paper}) |"
        )
    return "\n".join(lines) + "\n"


def short(address):
    """An address as a reader wants it: without what all have, and of a long one the site alone."""
    address = address.removeprefix("https://")
    return address if len(address) < 60 else address.split("/")[0]


def filled(text):
    """The README's text with the table of now."""
    before, rest = text.split(START)
    return before + START + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")
