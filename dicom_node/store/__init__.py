"""Everything the node remembers. SQL lives here and nowhere else.

Importing this package costs nothing; `dicom_node.store.opening.open_store` opens the database.
"""
