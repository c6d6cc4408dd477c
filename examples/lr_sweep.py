"""A learning-rate sweep: one base configuration, one run for each rate, the best one at the end.

    python examples/lr_sweep.py

prints the final loss of every run and then something like `best: lr 0.1 (lr-sweep-Ab12Cd)`. The runs are
submitted together and execute side by side, as far as the machine has room.
"""

import copy
from pathlib import Path

from mcli import RunConfig, RunStatus, create_run, get_run_logs, wait_for_run_status

config = RunConfig.from_file(str(Path(__file__).parent / "base_config.yaml"))

runs = {}
for lr in (1.0, 0.1, 0.01, 0.001):
    parameters = copy.deepcopy(config.parameters)  # never the base's own: the next run starts from it
    parameters["optimizers"]["sgd"]["lr"] = lr
    config.parameters = parameters
    runs[lr] = create_run(config)
    print(f"submitted {runs[lr].name} with lr {lr}")

losses = {}
for lr, run in runs.items():
    wait_for_run_status(run, RunStatus.COMPLETED)
    last_line = get_run_logs(run).splitlines()[-1]
    losses[lr] = float(last_line.removeprefix("final loss "))
    print(f"lr {lr:<6} {last_line}")

best = min(losses, key=losses.__getitem__)
print(f"best: lr {best} ({runs[best].name})")
