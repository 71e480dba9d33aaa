"""Programs of other people, pointed at our sandbox: recipes to run by hand, no part of the suite."""
