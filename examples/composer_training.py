"""A training job as a Composer user would write it: nothing in it knows on which platform it runs."""

import torch
from composer import Trainer
from composer.models import ComposerClassifier
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs = torch.randn(64, 8)
data = DataLoader(TensorDataset(inputs, (inputs.sum(dim=1) > 0).long()), batch_size=8)
model = ComposerClassifier(torch.nn.Linear(8, 2), num_classes=2)
trainer = Trainer(
    model=model,
    train_dataloader=data,
    max_duration="2ep",
    device="cpu",
    optimizers=torch.optim.SGD(model.parameters(), lr=0.1),
    progress_bar=False,
)
trainer.fit()
print(*(type(logger).__name__ for logger in trainer.logger.destinations))
trainer.close()
