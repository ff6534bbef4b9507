"""deployer.yaml: the project, its targets, values and defaults."""
