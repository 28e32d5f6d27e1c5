"""How the loss fell, as a picture and as a row of signs."""

import csv
import io
import itertools
from collections.abc import Sequence
from statistics import fmean

from PIL import Image, ImageDraw, ImageFont

from chorus.gateway.commands.histogram import (
    BAR,
    HEIGHT,
    INK,
    LETTER,
    LEVELS,
    MARGIN,
    PAPER,
    WIDTH,
)
from chorus.gateway.commands.replies import Picture

SIGNS = 40  # in a row
LINE = 2  # pixels


def losses_of(data: bytes) -> list[float]:
    """The losses in a run's CSV, whose columns are `step` and `loss`; in nats a token."""
    return [float(row["loss"]) for row in csv.DictReader(io.StringIO(data.decode()))]


def picture(losses: Sequence[float], name: str) -> Picture | None:
    """Both of them; None where there is no line to draw."""
    if len(losses) < 2:
        return None
    told = f"loss {losses[0]:.2f} → {losses[-1]:.2f} over {len(losses):,} steps"
    signs = "".join(_sign(loss, losses) for loss in _thinned(losses, SIGNS))
    return Picture(f"{name}-loss.png", _png(losses, told), f"{signs}  {told}")


def _thinned(losses: Sequence[float], most: int) -> list[float]:
    """At most so many, each the mean of its neighbours."""
    count = min(len(losses), most)
    edges = [at * len(losses) // count for at in range(count + 1)]
    return [fmean(losses[a:b]) for a, b in itertools.pairwise(edges)]


def _sign(loss: float, losses: Sequence[float]) -> str:
    low, high = min(losses), max(losses)
    share = (loss - low) / (high - low) if high > low else 0.0
    return LEVELS[min(len(LEVELS) - 1, int(share * len(LEVELS)))]


def _png(losses: Sequence[float], told: str) -> bytes:
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=LETTER)
    points = _thinned(losses, WIDTH - 2 * MARGIN)
    high = max(points) or 1.0
    floor, step = HEIGHT - MARGIN, (WIDTH - 2 * MARGIN) / (len(points) - 1)
    line = [
        (MARGIN + at * step, floor - loss / high * (floor - 2 * MARGIN)) for at, loss in enumerate(points)
    ]
    draw.text((WIDTH / 2, LETTER), told, INK, font, anchor="mm")
    draw.text((MARGIN, line[0][1] - LETTER), f"{points[0]:.2f}", INK, font, anchor="lm")
    draw.line((MARGIN, floor, WIDTH - MARGIN, floor), fill=INK)
    draw.line(line, fill=BAR, width=LINE, joint="curve")
    draw.text((MARGIN, floor + LETTER), "step 1", INK, font, anchor="lm")
    draw.text((WIDTH - MARGIN, floor + LETTER), f"step {len(losses):,}", INK, font, anchor="rm")
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
