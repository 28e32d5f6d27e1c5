"""Datasets and training jobs: what people hand over becomes examples, examples become an adapter."""
