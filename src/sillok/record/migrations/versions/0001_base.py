"""Papers, digests, entries, summaries, claims, runs, verdicts, machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sillok.record.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _paper() -> sa.Column[str]:
    return sa.Column("paper", sa.Text(), sa.ForeignKey("papers.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    op.create_table("machines", _text("id"), _text("data"), sa.PrimaryKeyConstraint("id"))
    op.create_table(
        "papers",
        *(_text("id"), _text("title"), _text("authors")),
        *(_text("published", null=True), _text("family", null=True), _text("facts")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_papers_published", "papers", ["published"])
    op.create_index("ix_papers_family", "papers", ["family"])
    op.create_table(
        "summaries", _paper(), _text("language"), _text("text"), sa.PrimaryKeyConstraint("paper", "language")
    )
    op.create_table(
        "claims", _paper(), _text("id"), _text("text"), _text("data"), sa.PrimaryKeyConstraint("paper", "id")
    )
    op.create_table(
        "digests",
        *(_text("id"), _text("date", null=True), _text("source"), _text("text")),
        sa.Column("added", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_digests_date", "digests", ["date"])
    op.create_table(
        "entries",
        sa.Column("digest", sa.Text(), sa.ForeignKey("digests.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(_text("paper", null=True), _text("title")),
        sa.Column("votes", sa.Integer()),
        *(_text("authors"), _text("sections")),
        sa.PrimaryKeyConstraint("digest", "position"),
    )
    op.create_index("ix_entries_paper", "entries", ["paper"])
    _runs_and_verdicts()


def _runs_and_verdicts() -> None:
    op.create_table(
        "runs",
        *(_text("id"), _text("paper"), _text("claim"), _text("trial")),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("arm"),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        *(_text("scale"), _text("mode"), _text("state")),
        sa.Column("attempt", sa.Integer(), nullable=False),
        *(_text("measures"), _text("units"), _text("curves"), _text("fingerprint")),
        _text("reason", null=True),
        sa.Column("started", Instant(), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        *(_text("machine"), _text("log")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_runs_trial", "runs", ["trial", "version", "scale", "mode", "machine"])
    op.create_index("ix_runs_paper", "runs", ["paper", "claim"])
    op.create_index("ix_runs_started", "runs", ["started"])
    op.create_table(
        "verdicts",
        *(_text("paper"), _text("claim")),
        sa.Column("version", sa.Integer(), nullable=False),
        *(_text("scale"), _text("mode"), _text("machine"), _text("trial"), _text("verdict")),
        *(_text("reason"), _text("intervals"), _text("seeds"), _text("declaration")),
        sa.Column("decided", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("paper", "claim", "version", "scale", "mode", "machine"),
    )


def downgrade() -> None:
    for table in ("verdicts", "runs", "entries", "digests", "claims", "summaries", "papers", "machines"):
        op.drop_table(table)
