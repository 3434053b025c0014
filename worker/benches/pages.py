"""Tables of a Markdown page between markers, so that a measurement replaces the one before."""

import re


def table(header, rows):
    """A Markdown table: the first column to the left, figures to the right."""
    rule = "|".join(["---"] + ["---:"] * (len(header) - 1))
    lines = ["|" + "".join(f" {text} |" if text else " |" for text in cells) for cells in (header, *rows)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def cell(value, form):
    """A figure, or a dash for one that was not measured."""
    return "–" if value is None else format(value, form)


def fill(page, found):
    """`page` with each text of `found` between `<!-- NAME -->` and `<!-- /NAME -->`; others stay as they are."""
    for name, text in found.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        page, count = place.subn(lambda _: f"{begin}\n{text}\n{end}", page)  # noqa: B023
        if count != 1:
            raise SystemExit(f"the page has {count} places for `{name}`, not one")
    return page
