"""Check the quality of stored tables: frames in, check outcomes out."""
