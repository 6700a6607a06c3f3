"""How a command line becomes jobs: Hydra, its sweeps and SLURM."""
