"""The documents that are made from declarations and recordings; `tests.write_docs` writes them all."""
