"""How long examples are, as a picture and as a row of signs."""

import io

from PIL import Image, ImageDraw, ImageFont

from chorus.common.contracts.datasets import Histogram
from chorus.gateway.commands.replies import Picture

LEVELS = "▁▂▃▅▇"

WIDTH, HEIGHT, MARGIN, GAP = 520, 240, 28, 4  # pixels
LETTER = 12  # pixels
PAPER, BAR, INK = "#ffffff", "#4a7fb5", "#333333"


def picture(histogram: Histogram, name: str) -> Picture | None:
    """Both of them; None where there is nothing to show."""
    bars = _bars(histogram)
    return Picture(f"{name}-lengths.png", _png(bars), _sketch(bars)) if bars else None


def _bars(histogram: Histogram) -> list[tuple[int, int]]:
    """(most tokens, examples) of each bar, from the first that is not empty to the last."""
    bars = list(zip(histogram.edges, histogram.counts, strict=True))
    filled = [at for at, (_, count) in enumerate(bars) if count]
    return bars[filled[0] : filled[-1] + 1] if filled else []


def _sketch(bars: list[tuple[int, int]]) -> str:
    most = max(count for _, count in bars)
    signs = "".join(LEVELS[(count * len(LEVELS) - 1) // most] if count else " " for _, count in bars)
    tokens = "up to" if len(bars) == 1 else f"up to {bars[0][0]:,} …"
    return f"{signs}  {tokens} {bars[-1][0]:,} tokens"


def _png(bars: list[tuple[int, int]]) -> bytes:
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=LETTER)
    most = max(count for _, count in bars)
    step = (WIDTH - 2 * MARGIN) / len(bars)
    floor = HEIGHT - MARGIN
    draw.text((WIDTH / 2, LETTER), "examples with at most so many tokens", INK, font, anchor="mm")
    for at, (edge, count) in enumerate(bars):
        left, right = MARGIN + at * step + GAP / 2, MARGIN + (at + 1) * step - GAP / 2
        top = floor - count / most * (floor - 2 * MARGIN)
        if count:
            draw.rectangle((left, min(top, floor - 1), right, floor), fill=BAR)
            draw.text(((left + right) / 2, top - LETTER / 2 - 2), f"{count:,}", INK, font, anchor="mm")
        draw.text(((left + right) / 2, floor + LETTER), f"{edge:,}", INK, font, anchor="mm")
    draw.line((MARGIN, floor, WIDTH - MARGIN, floor), fill=INK)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
