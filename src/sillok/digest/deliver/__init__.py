"""Delivering a day: Slack, e-mail, an Atom feed; each message once, secrets from the environment alone.

deliver(date, summaries, "digests", ["slack", "mail", "atom"], dry_run=True)
"""

from sillok.digest.deliver.api import CHANNELS, Targets, checked, deliver
from sillok.digest.deliver.ledger import DeliveryError, Ledger

__all__ = ["CHANNELS", "DeliveryError", "Ledger", "Targets", "checked", "deliver"]
