"""Lines that are not prose though nothing marks them: logs, stack traces, subtitles, CSV, code.

Each kind is recognised by more than one line, so that a sentence that happens to begin with a date
or to end with a brace stays a sentence. Every line is looked at a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from attnmass.text.segmentation.code_lines import find_code
from attnmass.text.segmentation.csv_rows import RowFinder
from attnmass.text.segmentation.cues import find_cues
from attnmass.text.segmentation.marked import find_diff, find_ruled, find_yaml
from attnmass.text.segmentation.records import find_records, is_record
from attnmass.text.segmentation.regions import Region
from attnmass.text.segmentation.spans import fence_of, line_starts
from attnmass.text.segmentation.traces import find_trace

_MIN_COLUMNS = 2


def find_regions(text: str) -> list[tuple[int, int, Region]]:
    """Runs of whole lines that are not prose, in order; nothing inside a code fence is one.

    Args:
        text: All of a chunk. Where its fences are not in pairs, nothing is looked for: it is not
            known which lines are inside one.

    Returns:
        For each, its `[start, end)` in characters, and its lines.
    """
    starts = line_starts(text)
    lines = [text[a:b].rstrip("\r\n") for a, b in pairwise(starts)]
    outside = _outside_fences(lines)
    if outside is None:
        return []
    records = [is_record(line) for line in lines]
    yaml = find_yaml(lines)
    code = find_code(lines, [out and not log for out, log in zip(outside, records, strict=True)])
    rows = RowFinder(lines)
    found: list[tuple[int, int, Region]] = []
    line = 0
    while line < len(lines):
        region = None
        if outside[line] and lines[line].strip():
            region = find_diff(lines, line) or yaml.get(line)
            region = region or code.get(line) or _region_at(lines, line, rows)
        if region is None or not all(outside[line : region.last]):
            line += 1
            continue
        found.append((starts[line], starts[region.last], region))
        line = region.last
    return found


def _region_at(lines: Sequence[str], line: int, rows: RowFinder) -> Region | None:
    """What begins with this line."""
    table = find_ruled(lines, line) or rows.at(line)
    log = find_records(lines, line)
    # As a rule, a log has a comma in its times.
    if table and (log is None or rows.columns > _MIN_COLUMNS):
        return table
    return find_cues(lines, line) or log or find_trace(lines, line)


def _outside_fences(lines: Sequence[str]) -> list[bool] | None:
    """For each line, whether it is outside any fence; `None` where fences are not in pairs."""
    outside: list[bool] = []
    fence = ""
    for line in lines:
        mark, info = fence_of(line.lstrip(" \t>")) or ("", "")
        outside.append(not fence and not mark)
        if fence and mark.startswith(fence):
            if info:  # opens inside a fence: all of this is inverted
                return None
            fence = ""
        elif mark and not fence:
            fence = mark
    return None if fence else outside
