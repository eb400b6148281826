"""What happens: one file for each scenario, the catalogue of them, and the command line."""
