"""Everything the node remembers; the only package that runs SQL.

Importing it loads nothing: `dicom-node status` must start without SQLAlchemy. `open_store` and
`Store` are in `dicom_node.store.store`.
"""
