"""The commands' ports, met over the bus and S3."""
