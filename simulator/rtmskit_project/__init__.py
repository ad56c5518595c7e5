"""The files of the Pulumi project beside its packages. A wheel has them here (pyproject.toml); in a checkout they are where they belong."""
