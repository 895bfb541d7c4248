"""Indexes for lists of runs and verdicts; `migrate` then indexes the papers that have verdicts anew."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_runs_machine", "runs", ["machine", "started"]),
    ("ix_runs_state", "runs", ["state", "started"]),
    ("ix_verdicts_machine", "verdicts", ["machine", "mode", "decided"]),
    ("ix_verdicts_decided", "verdicts", ["mode", "decided"]),
    ("ix_verdicts_counts", "verdicts", ["mode", "scale", "machine", "verdict", "paper"]),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
