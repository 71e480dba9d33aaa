"""What `dg` loads: each folder with its `defs.yaml`."""
