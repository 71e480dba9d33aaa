"""The generated world: accounts, campaigns, ad groups and ads, and what they deliver over time."""
