"""The version of the schema, and the small steps by which an older database reaches it.

A new database is made from `models` at once. One that is there is taken forward step by step, all in the transaction
that reads its version: of several processes that start at the same moment one does it, and the others find it done.
A step speaks SQL that both SQLite and PostgreSQL understand, and is never changed once it was released.
"""

from collections.abc import Callable
from typing import Any, Final

from shared.config import ConfigError
from web_service.models import TABLES, SchemaVersion

Step = Callable[[Any], object]


def _find_events_by_action(database: Any) -> None:
    """2: the newest deletions, say, are found without a look at every event."""
    database.execute_sql('CREATE INDEX "eventrow_action_time" ON "events" ("action", "time")')


STEPS: Final[tuple[Step, ...]] = (_find_events_by_action,)
"""The first leads from version 1 to version 2."""

SCHEMA_VERSION: Final = 1 + len(STEPS)


def bring_up_to_date(database: Any, steps: tuple[Step, ...] = STEPS) -> None:
    """Make the tables, or take those that are there forward; runs in a transaction. Raises ConfigError."""
    newest = 1 + len(steps)
    if not database.table_exists(SchemaVersion):
        database.create_tables(TABLES, safe=False)  # tables of another program are not taken for ours
        SchemaVersion.create(version=newest)
        return
    row = SchemaVersion.get_or_none()
    if row is None or row.version < 1:
        raise ConfigError("its table schema_version names no version: it was not made by this program")
    if row.version > newest:
        raise ConfigError(
            f"was written by a newer version of this program: its schema is {row.version}, and this program knows "
            f"none after {newest}; start the newer program"
        )
    for step in steps[row.version - 1 :]:
        step(database)
    if row.version < newest:
        SchemaVersion.update(version=newest).execute()
