"""What a table must be for its figures to be trusted: frames in, findings out."""
