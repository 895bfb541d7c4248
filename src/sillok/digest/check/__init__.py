"""Checking summaries: every figure, name and comparison of a sentence is looked up in the paper's text.

    findings = sillok.digest.check.check_entry(entry, paper)
    [f for f in findings if f.verdict != "supported"]

Retrieval is lexical and works across Korean and English through figures, Latin terms and a glossary; an
embedding or an entailment model, or a language model through Inspect, may be added. What a verdict means, and
what it cannot see, is in docs/checking.md.
"""

from sillok.digest.check.api import check, check_entry, check_text
from sillok.digest.check.findings import Finding
from sillok.digest.check.judge import load_judge
from sillok.digest.check.models import load_embedder, load_entailment

__all__ = ["Finding", "check", "check_entry", "check_text", "load_embedder", "load_entailment", "load_judge"]
