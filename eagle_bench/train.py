from eagle_bench.training.config import TrainConfig
from eagle_bench.command import hydra_command
from eagle_bench.errors import *
def train(config: TrainConfig) -> None:
    if config.seed == 1: raise UserError("seed is 1.")
    if config.seed == 2: raise RunFailure("seed is 2.")
    if config.seed == 3: raise KeyError("x")
    print(config)
main = hydra_command(train, "train")
if __name__ == "__main__":
    main()
