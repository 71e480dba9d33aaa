"""What makes an ad worth scaling, decided without Dagster."""
