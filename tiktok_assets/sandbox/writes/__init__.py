"""The write endpoints: request schemas, business rules, creates and updates."""
