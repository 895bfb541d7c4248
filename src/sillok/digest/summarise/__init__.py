"""Summaries of papers in the reader's language, each sentence checked against the paper.

    summaries = summarise(listings, model="openai/gpt-4o", language="ko", texts=texts, cache=folder)
    summaries[0].entry()          # an entry of a digest; failed sentences are marked in it
    summaries[0].flagged          # what failed, with evidence

Without a model the summary is made of the paper's own sentences, and says so.
"""

from sillok.digest.summarise.run import summarise
from sillok.digest.summarise.summary import SECTIONS, Checked, Prices, Summary, Usage, dump, load

__all__ = ["SECTIONS", "Checked", "Prices", "Summary", "Usage", "dump", "load", "summarise"]
