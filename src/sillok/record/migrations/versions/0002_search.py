"""Full-text search over titles, authors and summaries; `migrate` fills it from the papers already there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Two indexes over one table: FTS5 finds the newest papers that have a word in the title only if titles
# have lists of their own. Tokens hold no ASCII but letters and digits, so `ascii` splits at spaces alone.
_SQLITE = (
    "CREATE VIRTUAL TABLE search_all USING fts5(title, authors, body, tag, "
    "content='search', content_rowid='key', tokenize='ascii')",
    "CREATE VIRTUAL TABLE search_title USING fts5(title, tag, "
    "content='search', content_rowid='key', tokenize='ascii')",
    "CREATE TRIGGER search_added AFTER INSERT ON search BEGIN "
    "INSERT INTO search_all(rowid, title, authors, body, tag) "
    "VALUES (new.key, new.title, new.authors, new.body, new.tag); "
    "INSERT INTO search_title(rowid, title, tag) VALUES (new.key, new.title, new.tag); END",
    "CREATE TRIGGER search_removed AFTER DELETE ON search BEGIN "
    "INSERT INTO search_all(search_all, rowid, title, authors, body, tag) "
    "VALUES ('delete', old.key, old.title, old.authors, old.body, old.tag); "
    "INSERT INTO search_title(search_title, rowid, title, tag) "
    "VALUES ('delete', old.key, old.title, old.tag); END",
)


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    text = sa.Text()
    vector: sa.types.TypeEngine[str] = TSVECTOR() if postgres else sa.Text()
    op.create_table(
        "search",
        sa.Column("key", sa.BigInteger() if postgres else sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("paper", text, sa.ForeignKey("papers.id", ondelete="CASCADE"), nullable=False, unique=True),
        sa.Column("tag", text, nullable=False),
        sa.Column("title", text, nullable=False),
        sa.Column("authors", text, nullable=False),
        sa.Column("body", text, nullable=False),
        sa.Column("title_vector", vector),
        sa.Column("vector", vector),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "words",
        sa.Column("word", sa.Text(collation="C") if postgres else sa.Text(), nullable=False),
        sa.Column("papers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word"),
    )
    if postgres:
        op.create_index("ix_search_title_vector", "search", ["title_vector"], postgresql_using="gin")
        op.create_index("ix_search_vector", "search", ["vector"], postgresql_using="gin")
    else:
        for statement in _SQLITE:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE search_all")
        op.execute("DROP TABLE search_title")
    op.drop_table("words")
    op.drop_table("search")
