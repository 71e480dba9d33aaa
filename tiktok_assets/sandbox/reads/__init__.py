"""The read endpoints: entity lists, reports, posts and media."""
