"""How Alembic reaches the database: through the engine the node hands it."""

from alembic import context

from dicom_node.store.database import writing
from dicom_node.store.schema import metadata

with writing(context.config.attributes["engine"]) as connection:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    context.run_migrations()
