"""Pictures side by side in one."""

from PIL import Image

COLUMNS = 2
GAP = 8
WIDTH = 2400


def montage(paths, target):
    """The pictures of `paths`, all of one size, row by row in two columns; at most WIDTH pixels wide."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    width, height = pictures[0].size
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * (width + GAP), i // columns * (height + GAP)))
    sheet.thumbnail((WIDTH, sheet.height), Image.Resampling.LANCZOS)
    sheet.save(target, optimize=True)
