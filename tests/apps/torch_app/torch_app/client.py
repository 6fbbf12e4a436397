"""Two epochs of SGD on data drawn from the partition number; shuffles with torch's global generator."""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def make_model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def train_model(model: torch.nn.Module, partition: int) -> float:
    """Train in place and return the last loss; the order of samples comes from the global generator."""
    generator = torch.Generator().manual_seed(partition)
    inputs = torch.randn(64, 4, generator=generator)
    targets = inputs.sum(dim=1, keepdim=True) + 0.1 * partition
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loss = torch.zeros(())
    for _ in range(2):
        for batch in torch.randperm(64).split(16):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch])
            loss.backward()
            optimizer.step()
    return float(loss)


@app.train()
def train(message: Message, context: Context) -> Message:
    model = make_model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    loss = train_model(model, int(context.node_config["partition-id"]))
    content = RecordDict(
        {
            "arrays": ArrayRecord(model.state_dict()),
            "metrics": MetricRecord({"num-examples": 64, "loss": loss}),
        }
    )
    return Message(content, reply_to=message)
