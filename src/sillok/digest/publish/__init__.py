"""Writing digests to a folder: days, round-ups of weeks and months, and an Atom feed.

write_day(date, summaries, "digests")     # digests/2024/12/04.md, .json, .html
write_week(date, "digests")               # digests/2024/weekly/2024-W49.md, .json, .html
write_month(date, "digests")              # digests/2024/12/index.md, .json, .html
write_feed("digests")                     # digests/feed.xml
"""

from sillok.digest.publish.day import Written, day_path, load_day, write_day
from sillok.digest.publish.feed import write_feed
from sillok.digest.publish.roundup import write_month, write_week

__all__ = ["Written", "day_path", "load_day", "write_day", "write_feed", "write_month", "write_week"]
