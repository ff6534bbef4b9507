"""Huawei Cloud big-data jobs under git: manifests in, planned and applied API calls out."""

__version__ = "0.1.0"
